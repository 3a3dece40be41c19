//! Readings into Kafka from an STM32H743 with Ethernet: the wiring is that of the NUCLEO-H743ZI2.
//!
//! What is sent, how often, and what happens when the broker is away: `../readings`.

#![no_std]
#![no_main]

use defmt_rtt as _;
use demitasse_readings::Place;
use embassy_executor::Spawner;
use embassy_net::StackResources;
use embassy_stm32::adc::{Adc, SampleTime, Temperature};
use embassy_stm32::eth::{self, Ethernet, GenericPhy, PacketQueue, Sma};
use embassy_stm32::peripherals::{ADC3, ETH, ETH_SMA, RNG};
use embassy_stm32::rng::{self, Rng};
use embassy_stm32::{Config, bind_interrupts, rcc, uid};
use panic_probe as _;
use static_cell::ConstStaticCell;

/// Your broker and your topic.
const PLACE: Place = Place { broker: ("192.168.0.10", 9092), topic: "readings", device: "stm32h743" };

bind_interrupts!(struct Interrupts {
    ETH => eth::InterruptHandler;
    RNG => rng::InterruptHandler<RNG>;
});

type Device = Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;

#[embassy_executor::task]
async fn network(mut runner: embassy_net::Runner<'static, Device>) -> ! {
    runner.run().await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    static PACKETS: ConstStaticCell<PacketQueue<4, 4>> = ConstStaticCell::new(PacketQueue::new());
    // One connection to Kafka, DHCP and DNS.
    static RESOURCES: ConstStaticCell<StackResources<3>> = ConstStaticCell::new(StackResources::new());

    let p = embassy_stm32::init(clocks());
    let mut random = Rng::new(p.RNG, Interrupts);
    let mut seed = [0; 12];
    random.fill_bytes(&mut seed);
    let [a, b, c] = [0, 4, 8].map(|at| u32::from_le_bytes([seed[at], seed[at + 1], seed[at + 2], seed[at + 3]]));

    let device = Ethernet::new(
        PACKETS.take(),
        p.ETH,
        Interrupts,
        p.PA1,  // reference clock
        p.PA7,  // carrier sense, data valid
        p.PC4,  // receive 0
        p.PC5,  // receive 1
        p.PG13, // transmit 0
        p.PB13, // transmit 1
        p.PG11, // transmit enable
        address(uid::uid()),
        p.ETH_SMA,
        p.PA2, // management data
        p.PC1, // management clock
    );
    let dhcp = embassy_net::Config::dhcpv4(Default::default());
    let seed = u64::from(a) << 32 | u64::from(b);
    let (stack, runner) = embassy_net::new(device, dhcp, RESOURCES.take(), seed);
    spawner.spawn(defmt::unwrap!(network(runner)));

    let mut adc = Adc::new(p.ADC3);
    let mut sensor = adc.enable_temperature();
    demitasse_readings::run(
        stack,
        c,
        PLACE,
        async || temperature(&mut adc, &mut sensor),
        |line| {
            defmt::info!("{}", defmt::Display2Format(&line));
        },
    )
    .await;
}

/// 400 MHz from the internal oscillator; 48 MHz for the random number generator; 100 MHz for the converter.
fn clocks() -> Config {
    let mut config = Config::default();
    let pll = |output| rcc::Pll {
        source: rcc::PllSource::HSI,
        prediv: rcc::PllPreDiv::DIV4,
        mul: rcc::PllMul::MUL50,
        fracn: None,
        divp: Some(output),
        divq: None,
        divr: None,
    };
    config.rcc.hsi = Some(rcc::HSIPrescaler::DIV1);
    config.rcc.hsi48 = Some(Default::default());
    config.rcc.pll1 = Some(pll(rcc::PllDiv::DIV2));
    config.rcc.pll2 = Some(pll(rcc::PllDiv::DIV8));
    config.rcc.sys = rcc::Sysclk::PLL1_P;
    config.rcc.ahb_pre = rcc::AHBPrescaler::DIV2;
    config.rcc.apb1_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb2_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb3_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb4_pre = rcc::APBPrescaler::DIV2;
    config.rcc.voltage_scale = rcc::VoltageScale::Scale1;
    config.rcc.mux.adcsel = rcc::mux::Adcsel::PLL2_P;
    config
}

/// A hardware address from the chip's own number; its first byte says that no manufacturer gave it.
fn address(chip: [u8; 12]) -> [u8; 6] {
    let mut address = [2u8, 0, 0, 0, 0, 0];
    for (index, byte) in chip.iter().enumerate() {
        let place = &mut address[1 + index % 5];
        *place = place.rotate_left(3) ^ byte;
    }
    address
}

/// The chip's own sensor, in hundredths of a degree. Put yours in its place.
fn temperature(adc: &mut Adc<'_, ADC3>, sensor: &mut Temperature) -> i32 {
    // What the converter showed at 30 and at 110 degrees, with 3.3 V, when the chip was made (data sheet DS12110).
    const AT_30: *const u16 = 0x1ff1_e820 as *const u16;
    const AT_110: *const u16 = 0x1ff1_e840 as *const u16;
    // SAFETY: both lie in the chip's read-only memory.
    let (at_30, at_110) = unsafe { (AT_30.read_volatile(), AT_110.read_volatile()) };
    let now = adc.blocking_read(sensor, SampleTime::CYCLES810_5);
    let (now, at_30, at_110) = (i32::from(now), i32::from(at_30), i32::from(at_110));
    3000 + (now - at_30) * 8000 / (at_110 - at_30).max(1)
}
