//! A certificate authority and one server certificate for the brokers' TLS listeners, by openssl.

use crate::processes::tail;
use crate::{Error, Result};
use std::path::Path;
use std::process::Command;

/// Makes `ca.pem` (for clients) and `keystore.pem` (for brokers) in `folder`. P-256, as small devices want it.
pub(crate) fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    // 10.0.2.2 is the host as a QEMU guest sees it.
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:10.0.2.2\n")?;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("req -x509 {key} -days 3650 -subj /CN=demitasse-test-ca -keyout ca.key -out ca.pem"))?;
    openssl(folder, &format!("req {key} -subj /CN=localhost -keyout server.key -out server.csr"))?;
    openssl(
        folder,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile names -out server.crt",
    )?;
    openssl(folder, "pkcs8 -topk8 -nocrypt -in server.key -out server.pk8")?;
    let mut keystore = std::fs::read(folder.join("server.pk8"))?;
    keystore.extend(std::fs::read(folder.join("server.crt"))?);
    std::fs::write(folder.join("keystore.pem"), keystore)?;
    Ok(())
}

fn openssl(folder: &Path, arguments: &str) -> Result<()> {
    let said = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .map_err(|e| Error::new(format!("cannot run openssl (on Debian `apt-get install openssl`): {e}")))?;
    if said.status.success() {
        return Ok(());
    }
    Err(Error::new(format!("openssl {arguments}: {}", tail(&said.stderr))))
}
