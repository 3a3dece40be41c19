//! The boards: clock, Ethernet, interrupts, address. The file to replace for a board of your own.

use crate::{clock, ethernet};
use embassy_executor::Spawner;
use embassy_net::{Runner, Stack, StackResources};
use static_cell::ConstStaticCell;

/// What differs between the two.
struct Board {
    hertz: u32,
    ethernet: usize,
    interrupt: u16,
}

#[cfg(feature = "mps2-an385")]
const BOARD: Board = Board { hertz: 25_000_000, ethernet: 0x4020_0000, interrupt: 13 };
#[cfg(feature = "lm3s6965evb")]
const BOARD: Board = Board { hertz: 12_500_000, ethernet: 0x4004_8000, interrupt: 42 };

/// Which of the two it is.
pub const NAME: &str = if cfg!(feature = "mps2-an385") { "mps2-an385" } else { "lm3s6965evb" };

/// TCP sockets that may be open at once, and one for DHCP.
const SOCKETS: usize = 3 + cfg!(feature = "dhcp") as usize;

/// Starts clock and network; the network runs in a task of its own. Once.
pub fn start(spawner: Spawner) -> Stack<'static> {
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> = ConstStaticCell::new(StackResources::new());

    let Some(mut core) = cortex_m::Peripherals::take() else { panic!("started twice") };
    clock::start(&mut core.SYST, BOARD.hertz);
    let Some(controller) = ethernet::Controller::new(BOARD.ethernet) else { panic!("no Ethernet controller") };
    // SAFETY: no lock is held, and the handler below is ready.
    unsafe { cortex_m::peripheral::NVIC::unmask(Interrupt(BOARD.interrupt)) };
    // It chooses port numbers and TCP's first sequence numbers; a device takes it from its random number generator.
    let seed = 0x243f_6a88_85a3_08d3;
    let (stack, runner) = embassy_net::new(controller, address(), RESOURCES.take(), seed);
    let Ok(task) = network(runner) else { panic!("started twice") };
    spawner.spawn(task);
    stack
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, ethernet::Controller>) -> ! {
    runner.run().await
}

#[cfg(feature = "dhcp")]
fn address() -> embassy_net::Config {
    embassy_net::Config::dhcpv4(embassy_net::DhcpConfig::default())
}

/// The address in QEMU's user network, where the host is 10.0.2.2.
#[cfg(not(feature = "dhcp"))]
fn address() -> embassy_net::Config {
    use embassy_net::{Ipv4Address, Ipv4Cidr, StaticConfigV4};
    embassy_net::Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(Ipv4Address::new(10, 0, 2, 15), 24),
        gateway: Some(Ipv4Address::new(10, 0, 2, 2)),
        dns_servers: Default::default(),
    })
}

/// A line of the interrupt controller.
#[derive(Clone, Copy)]
struct Interrupt(u16);

// SAFETY: the number is that of a line of the chip, and does not change.
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0
    }
}

/// All interrupts but the clock's: a chip's crate would have a table instead.
#[cortex_m_rt::exception]
unsafe fn DefaultHandler(number: i16) {
    if number == BOARD.interrupt as i16 {
        ethernet::on_interrupt(BOARD.ethernet);
    }
}

/// Lines of the interrupt controller that are wired: 32 on the one chip, 43 on the other. Without `device`, cortex-m-rt
/// makes a table for the most that any chip has, 240.
const INTERRUPTS: usize = if cfg!(feature = "mps2-an385") { 32 } else { 43 };

/// The table of interrupts: cortex-m-rt has its place from this name and section. All go to the handler above.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".vector_table.interrupts")]
static __INTERRUPTS: [unsafe extern "C" fn(); INTERRUPTS] = {
    unsafe extern "C" {
        fn DefaultHandler();
    }
    [DefaultHandler; INTERRUPTS]
};
