//! Readings into Kafka from an ESP32-C3, over Wi-Fi.
//!
//! What is sent, how often, and what happens when the broker is away: `../readings`. The heap is the radio's: Kafka
//! takes nothing of it.

#![no_std]
#![no_main]

use demitasse_readings::Place;
use embassy_executor::Spawner;
use embassy_net::StackResources;
use embassy_time::Timer;
use esp_backtrace as _;
use esp_hal::clock::CpuClock;
use esp_hal::rng::Rng;
use esp_hal::timer::timg::TimerGroup;
use esp_hal::tsens::{self, TemperatureSensor};
use esp_println::println;
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{AuthenticationMethodConfig, Config, ControllerConfig, Interface, WifiController};
use static_cell::ConstStaticCell;

/// Your broker and your topic.
const PLACE: Place = Place { broker: ("192.168.0.10", 9092), topic: "readings", device: "esp32-c3" };

/// Your Wi-Fi: `WIFI_NAME=... WIFI_PASSWORD=... cargo run --release`, so that no password stands in a source file.
const WIFI: (&str, &str) = (env!("WIFI_NAME"), env!("WIFI_PASSWORD"));

esp_bootloader_esp_idf::esp_app_desc!();

#[embassy_executor::task]
async fn network(mut runner: embassy_net::Runner<'static, Interface>) -> ! {
    runner.run().await
}

/// Joins the Wi-Fi, and joins it again when it was lost.
#[embassy_executor::task]
async fn join(mut radio: WifiController<'static>) -> ! {
    let (name, _) = WIFI;
    loop {
        match radio.connect_async().await {
            Ok(_) => {
                println!("in {name}");
                let _ = radio.wait_for_disconnect_async().await;
                println!("{name} is gone");
            }
            Err(error) => println!("{name} does not let us in: {error:?}"),
        }
        Timer::after_secs(2).await;
    }
}

#[esp_rtos::main]
async fn main(spawner: Spawner) {
    // One connection to Kafka, DHCP and DNS.
    static RESOURCES: ConstStaticCell<StackResources<3>> = ConstStaticCell::new(StackResources::new());

    let p = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    // For the radio: what the loader has used, and as much again as its vendor says.
    esp_alloc::heap_allocator!(#[esp_hal::ram(reclaimed)] size: 64 * 1024);
    esp_alloc::heap_allocator!(size: 36 * 1024);
    esp_rtos::start(TimerGroup::new(p.TIMG0).timer0, p.FROM_CPU_INTR0);

    let (name, password) = WIFI;
    let password = password.try_into().expect("WIFI_PASSWORD has at most 64 bytes");
    let station = StationConfig::default()
        .with_ssid(name.try_into().expect("WIFI_NAME has at most 32 bytes"))
        .with_authentication(AuthenticationMethodConfig::Wpa2Personal(password));
    let settings = ControllerConfig::default().with_initial_config(Config::Station(station));
    let interface = Interface::station();
    let radio = WifiController::new(p.WIFI, settings).expect("the radio starts");

    // Random, as the chip's numbers are while the radio is on.
    let random = Rng::new();
    let seed = u64::from(random.random()) << 32 | u64::from(random.random());
    let dhcp = embassy_net::Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(interface, dhcp, RESOURCES.take(), seed);
    spawner.spawn(network(runner).expect("started once"));
    spawner.spawn(join(radio).expect("started once"));

    let sensor = TemperatureSensor::new(p.TSENS, tsens::Config::default()).expect("the sensor starts");
    // It needs a moment before what it shows is right.
    Timer::after_micros(300).await;
    demitasse_readings::run(stack, random.random(), PLACE, async || temperature(&sensor), |line| println!("{line}"))
        .await;
}

/// The chip's own sensor, in hundredths of a degree; put yours in its place.
fn temperature(sensor: &TemperatureSensor<'_>) -> i32 {
    (sensor.get_temperature().to_celsius() * 100.0) as i32
}
