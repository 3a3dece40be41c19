//! The host, through semihosting: settings of a test, status lines, the end.
//!
//! Without the feature nothing is said and nothing asked: settings are then what the program has as its defaults. On
//! your board put `defmt::info!` or a UART in place of `status!`.

/// Longest command line.
#[cfg(feature = "semihosting")]
const LINE: usize = 160;

/// Says a line, as `println!` does.
#[macro_export]
macro_rules! status {
    ($($argument:tt)*) => {{
        #[cfg(feature = "semihosting")]
        $crate::host::print(core::format_args!($($argument)*));
        #[cfg(not(feature = "semihosting"))]
        if false {
            // Used, so that nobody warns; and not compiled into the image.
            let _ = core::format_args!($($argument)*);
        }
    }};
}

/// What was given at the start, word by word: QEMU's `-semihosting-config arg=...`. Nothing, without the feature.
pub struct Arguments {
    #[cfg(feature = "semihosting")]
    line: [u8; LINE],
}

impl Arguments {
    /// Asks the host.
    pub fn read() -> Arguments {
        Arguments {
            #[cfg(feature = "semihosting")]
            line: {
                let mut line = [0; LINE];
                // SAFETY: SYS_GET_CMDLINE writes at most as many bytes as it is told there are. Refused, it writes none.
                unsafe { cortex_m_semihosting::syscall!(GET_CMDLINE, line.as_mut_ptr(), LINE) };
                line
            },
        }
    }

    /// The word at `index`, if there is one. The program's name is not counted.
    #[cfg(feature = "semihosting")]
    pub fn word(&self, index: usize) -> Option<&str> {
        let line = self.line.split(|&byte| byte == 0).next();
        let line = line.and_then(|line| core::str::from_utf8(line).ok()).unwrap_or_default();
        line.split(' ').nth(index + 1).filter(|word| !word.is_empty())
    }

    /// There is none.
    #[cfg(not(feature = "semihosting"))]
    #[inline]
    pub fn word(&self, _index: usize) -> Option<&str> {
        None
    }

    /// Host and port, written `HOST:PORT`, at `index`, or `default` if there is none.
    pub fn address<'a>(&'a self, index: usize, default: (&'a str, u16)) -> (&'a str, u16) {
        let given = self.word(index).and_then(|word| word.rsplit_once(':'));
        given.and_then(|(host, port)| Some((host, port.parse().ok()?))).unwrap_or(default)
    }

    /// The number at `index`, or `default` if there is none.
    pub fn number(&self, index: usize, default: u32) -> u32 {
        self.word(index).and_then(|word| word.parse().ok()).unwrap_or(default)
    }
}

/// The work of [`status!`](crate::status).
#[cfg(feature = "semihosting")]
pub fn print(text: core::fmt::Arguments<'_>) {
    use core::fmt::Write;

    /// A line goes out in one call: each stops the machine for a while.
    struct Line {
        bytes: [u8; 240],
        length: usize,
    }
    impl Write for Line {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            for &byte in text.as_bytes() {
                // What does not fit is cut off, the last byte is for the end of the line.
                if self.length < self.bytes.len() - 1 {
                    self.bytes[self.length] = byte;
                    self.length += 1;
                }
            }
            Ok(())
        }
    }
    let mut line = Line { bytes: [0; 240], length: 0 };
    let _ = line.write_fmt(text);
    line.bytes[line.length] = b'\n';
    if let Ok(mut out) = cortex_m_semihosting::hio::hstdout() {
        let _ = out.write_all(&line.bytes[..=line.length]);
    }
}

/// Ends the program; QEMU's exit status is 0 if all is well. A device sleeps for ever.
pub fn exit(well: bool) -> ! {
    #[cfg(feature = "semihosting")]
    {
        use cortex_m_semihosting::debug;
        debug::exit(if well { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    }
    let _ = well;
    loop {
        cortex_m::asm::wfi();
    }
}

/// A panic is said and ends a test; a device without a debugger starts anew.
#[panic_handler]
fn panic(information: &core::panic::PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    #[cfg(feature = "semihosting")]
    {
        print(format_args!("{information}"));
        exit(false)
    }
    #[cfg(not(feature = "semihosting"))]
    {
        let _ = information;
        cortex_m::peripheral::SCB::sys_reset()
    }
}
