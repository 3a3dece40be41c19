//! Readings into Kafka from a Raspberry Pi Pico W, over Wi-Fi.
//!
//! What is sent, how often, and what happens when the broker is away: `../readings`.

#![no_std]
#![no_main]

use cyw43::{Control, JoinOptions, NetDriver};
use cyw43_firmware::{CYW43_43439A0, CYW43_43439A0_CLM};
use cyw43_pio::{DEFAULT_CLOCK_DIVIDER, PioSpi};
use defmt_rtt as _;
use demitasse_readings::Place;
use embassy_executor::Spawner;
use embassy_net::{Stack, StackResources};
use embassy_rp::adc::{self, Adc, Async, Channel};
use embassy_rp::bind_interrupts;
use embassy_rp::clocks::RoscRng;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::peripherals::{DMA_CH0, PIO0};
use embassy_rp::pio::{self, Pio};
use embassy_time::Timer;
use panic_probe as _;
use static_cell::{ConstStaticCell, StaticCell};

/// Your broker and your topic.
const PLACE: Place = Place { broker: ("192.168.0.10", 9092), topic: "readings", device: "pico-w" };

/// Your Wi-Fi: `WIFI_NAME=... WIFI_PASSWORD=... cargo run --release`, so that no password stands in a source file.
const WIFI: (&str, &str) = (env!("WIFI_NAME"), env!("WIFI_PASSWORD"));

bind_interrupts!(struct Interrupts {
    ADC_IRQ_FIFO => adc::InterruptHandler;
    PIO0_IRQ_0 => pio::InterruptHandler<PIO0>;
});

type Radio = cyw43::Runner<'static, Output<'static>, PioSpi<'static, PIO0, 0, DMA_CH0>>;

#[embassy_executor::task]
async fn radio(runner: Radio) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn network(mut runner: embassy_net::Runner<'static, NetDriver<'static>>) -> ! {
    runner.run().await
}

/// Joins the Wi-Fi, and joins it again when it was lost.
#[embassy_executor::task]
async fn join(mut control: Control<'static>, stack: Stack<'static>) -> ! {
    let (name, password) = WIFI;
    loop {
        match control.join(name, JoinOptions::new(password.as_bytes())).await {
            Ok(()) => {
                defmt::info!("in {}", name);
                stack.wait_link_down().await;
                defmt::warn!("{} is gone", name);
            }
            Err(error) => defmt::warn!("{} does not let us in: status {}", name, error.status),
        }
        Timer::after_secs(2).await;
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    static STATE: StaticCell<cyw43::State> = StaticCell::new();
    // One connection to Kafka, DHCP and DNS.
    static RESOURCES: ConstStaticCell<StackResources<3>> = ConstStaticCell::new(StackResources::new());

    let p = embassy_rp::init(Default::default());
    // The radio's pins are the board's, not yours: power 23, data 24, chip select 25, clock 29.
    let mut pio = Pio::new(p.PIO0, Interrupts);
    let select = Output::new(p.PIN_25, Level::High);
    let divider = DEFAULT_CLOCK_DIVIDER;
    let spi = PioSpi::new(&mut pio.common, pio.sm0, divider, pio.irq0, select, p.PIN_24, p.PIN_29, p.DMA_CH0);
    let power = Output::new(p.PIN_23, Level::Low);
    let (device, mut control, runner) = cyw43::new(STATE.init(cyw43::State::new()), power, spi, CYW43_43439A0).await;
    spawner.spawn(defmt::unwrap!(radio(runner)));
    control.init(CYW43_43439A0_CLM).await;

    let dhcp = embassy_net::Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(device, dhcp, RESOURCES.take(), RoscRng.next_u64());
    spawner.spawn(defmt::unwrap!(network(runner)));
    spawner.spawn(defmt::unwrap!(join(control, stack)));

    let mut adc = Adc::new(p.ADC, Interrupts, adc::Config::default());
    let mut sensor = Channel::new_temp_sensor(p.ADC_TEMP_SENSOR);
    demitasse_readings::run(
        stack,
        RoscRng.next_u32(),
        PLACE,
        async || temperature(&mut adc, &mut sensor).await,
        |line| defmt::info!("{}", defmt::Display2Format(&line)),
    )
    .await;
}

/// The chip's own sensor, in hundredths of a degree; put yours in its place. If it cannot be read, the coldest there is.
async fn temperature(adc: &mut Adc<'_, Async>, sensor: &mut Channel<'_>) -> i32 {
    let Ok(shown) = adc.read(sensor).await else { return -27_315 };
    // 12 bits are 3.3 V; 0.706 V are 27 degrees, and each degree more is 1.721 mV less (RP2040 data sheet, 4.9.5).
    // 3,300,000 / 4096, as a fraction that 32 bits have room for.
    let microvolts = i32::from(shown) * 103_125 / 128;
    2700 - (microvolts - 706_000) * 100 / 1721
}
