//! The settings as the state has them: checked, and given at the start or compiled in.

#[cfg(feature = "consumer")]
use super::OffsetReset;
use super::{Acks, Config, ConfigError, Name, Partitioner, UnknownOutcome, WaitersFull};
#[cfg(feature = "consumer")]
use crate::protocol::IsolationLevel;
#[cfg(feature = "compression")]
use crate::records::Compression;
use core::marker::PhantomData;
use core::time::Duration;

/// The settings as the state uses them: durations in milliseconds, checked once.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Settings {
    pub(crate) client_id: Name<64>,
    pub(crate) acks: Acks,
    pub(crate) idempotence: bool,
    pub(crate) max_in_flight: u8,
    pub(crate) allow_auto_create_topics: bool,
    pub(crate) partitioner: Partitioner,
    pub(crate) unknown_outcome: UnknownOutcome,
    pub(crate) waiters_full: WaitersFull,
    pub(crate) max_request_size: u32,
    #[cfg(feature = "compression")]
    pub(crate) compression: Compression,
    pub(crate) linger: u32,
    pub(crate) delivery_timeout: u32,
    pub(crate) request_timeout: u32,
    pub(crate) max_block: u32,
    pub(crate) retry_backoff: u32,
    pub(crate) retry_backoff_max: u32,
    pub(crate) reconnect_backoff: u32,
    pub(crate) reconnect_backoff_max: u32,
    pub(crate) connection_setup_timeout: u32,
    pub(crate) connections_max_idle: u32,
    pub(crate) metadata_max_age: u32,
    #[cfg(feature = "consumer")]
    pub(crate) group_id: Name<128>,
    #[cfg(feature = "consumer")]
    pub(crate) isolation_level: IsolationLevel,
    #[cfg(feature = "consumer")]
    pub(crate) offset_reset: OffsetReset,
    #[cfg(feature = "consumer")]
    pub(crate) fetch_max_wait: u32,
    #[cfg(feature = "consumer")]
    pub(crate) stream_large_batches: bool,
    #[cfg(feature = "consumer")]
    pub(crate) fetch_min_bytes: u32,
    #[cfg(feature = "consumer")]
    pub(crate) client_rack: Name<64>,
    #[cfg(feature = "consumer")]
    pub(crate) poll_min_records: u32,
    #[cfg(feature = "scaling")]
    pub(crate) connections_per_broker_min: u8,
    #[cfg(feature = "scaling")]
    pub(crate) connections_per_broker_max: u8,
    #[cfg(feature = "scaling")]
    pub(crate) connections_scale_interval: u32,
}

/// Of a duration that is at most [`Config::DURATION_MAX`]; without the 128 bits of `Duration::as_millis`.
const fn millis(duration: Duration) -> u32 {
    (duration.as_secs() as u32).saturating_mul(1000).saturating_add(duration.subsec_millis())
}

impl Settings {
    const UNSET: Settings = Settings {
        client_id: Name::EMPTY,
        acks: Acks::None,
        idempotence: false,
        max_in_flight: 0,
        allow_auto_create_topics: false,
        partitioner: Partitioner::Murmur2,
        unknown_outcome: UnknownOutcome::GiveUp,
        waiters_full: WaitersFull::Spin,
        max_request_size: 0,
        #[cfg(feature = "compression")]
        compression: Compression::None,
        linger: 0,
        delivery_timeout: 0,
        request_timeout: 0,
        max_block: 0,
        retry_backoff: 0,
        retry_backoff_max: 0,
        reconnect_backoff: 0,
        reconnect_backoff_max: 0,
        connection_setup_timeout: 0,
        connections_max_idle: 0,
        metadata_max_age: 0,
        #[cfg(feature = "consumer")]
        group_id: Name::EMPTY,
        #[cfg(feature = "consumer")]
        isolation_level: IsolationLevel::ReadUncommitted,
        #[cfg(feature = "consumer")]
        offset_reset: OffsetReset::None,
        #[cfg(feature = "consumer")]
        fetch_max_wait: 0,
        #[cfg(feature = "consumer")]
        stream_large_batches: false,
        #[cfg(feature = "consumer")]
        fetch_min_bytes: 0,
        #[cfg(feature = "consumer")]
        client_rack: Name::EMPTY,
        #[cfg(feature = "consumer")]
        poll_min_records: 0,
        #[cfg(feature = "scaling")]
        connections_per_broker_min: 0,
        #[cfg(feature = "scaling")]
        connections_per_broker_max: 0,
        #[cfg(feature = "scaling")]
        connections_scale_interval: 0,
    };

    /// The codec of `compression.type`, for who has no memory to compress in.
    #[cfg(feature = "compression")]
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Settings that do not contradict each other.
    ///
    /// # Errors
    /// They do; the error says which does not go with what.
    pub const fn new(config: &Config) -> Result<Self, ConfigError> {
        if let Err(error) = config.check() {
            return Err(error);
        }
        Ok(Settings {
            client_id: config.client_id,
            acks: config.acks,
            idempotence: config.idempotence,
            max_in_flight: config.max_in_flight,
            allow_auto_create_topics: config.allow_auto_create_topics,
            partitioner: config.partitioner,
            unknown_outcome: config.unknown_outcome,
            waiters_full: config.waiters_full,
            max_request_size: config.max_request_size,
            #[cfg(feature = "compression")]
            compression: config.compression,
            linger: millis(config.linger),
            delivery_timeout: millis(config.delivery_timeout),
            request_timeout: millis(config.request_timeout),
            max_block: millis(config.max_block),
            retry_backoff: millis(config.retry_backoff),
            retry_backoff_max: millis(config.retry_backoff_max),
            reconnect_backoff: millis(config.reconnect_backoff),
            reconnect_backoff_max: millis(config.reconnect_backoff_max),
            connection_setup_timeout: millis(config.connection_setup_timeout),
            connections_max_idle: millis(config.connections_max_idle),
            metadata_max_age: millis(config.metadata_max_age),
            #[cfg(feature = "consumer")]
            group_id: config.group_id,
            #[cfg(feature = "consumer")]
            isolation_level: config.isolation_level,
            #[cfg(feature = "consumer")]
            offset_reset: config.offset_reset,
            #[cfg(feature = "consumer")]
            fetch_max_wait: millis(config.fetch_max_wait),
            #[cfg(feature = "consumer")]
            stream_large_batches: config.stream_large_batches,
            #[cfg(feature = "consumer")]
            fetch_min_bytes: config.fetch_min_bytes,
            #[cfg(feature = "consumer")]
            client_rack: config.client_rack,
            #[cfg(feature = "consumer")]
            poll_min_records: config.poll_min_records,
            #[cfg(feature = "scaling")]
            connections_per_broker_min: config.connections_per_broker_min,
            #[cfg(feature = "scaling")]
            connections_per_broker_max: config.connections_per_broker_max,
            #[cfg(feature = "scaling")]
            connections_scale_interval: millis(config.connections_scale_interval),
        })
    }
}

/// How a client has its settings: as [`Settings`] that it is given at the start, or [`Fixed`] when the program is compiled.
pub trait Configured: Sized {
    /// What a start takes.
    type Source<'a>;
    /// Before the start.
    const UNSET: Self;
    /// Asked for where storage is declared: fixed settings that contradict each other stop the compiler there.
    const CHECKED: () = ();

    /// Takes the settings at the start.
    ///
    /// # Errors
    /// They contradict each other.
    fn configure(source: Self::Source<'_>) -> Result<Self, ConfigError>;

    /// The settings.
    fn get(&self) -> &Settings;

    /// `client.id`, and not by way of all settings: who looks for a text in those that are compiled in has all of them in the
    /// program.
    fn client_id(&self) -> &[u8] {
        self.get().client_id.as_bytes()
    }

    /// `group.id`, in the same way.
    #[cfg(feature = "consumer")]
    fn group_id(&self) -> &[u8] {
        self.get().group_id.as_bytes()
    }

    /// `client.rack`, in the same way.
    #[cfg(feature = "consumer")]
    fn client_rack(&self) -> &[u8] {
        self.get().client_rack.as_bytes()
    }
}

impl Configured for Settings {
    type Source<'a> = &'a Config;
    const UNSET: Self = Settings::UNSET;

    fn configure(config: &Config) -> Result<Self, ConfigError> {
        Settings::new(config)
    }

    fn get(&self) -> &Settings {
        self
    }
}

/// Settings that are fixed when the program is compiled. What they do not ask for is then not in the program, and settings that
/// contradict each other do not compile.
///
/// ```
/// use core::time::Duration;
/// use demitasse_core::{Config, Fixed, Name};
///
/// struct Sensor;
///
/// impl Fixed for Sensor {
///     const CONFIG: Config = {
///         let mut config = Config::new();
///         config.client_id = Name::new("sensor");
///         config.linger = Duration::from_secs(1);
///         config
///     };
/// }
/// ```
pub trait Fixed: 'static {
    /// The settings.
    const CONFIG: Config;
}

impl<F: Fixed> Configured for PhantomData<F> {
    type Source<'a> = F;
    const UNSET: Self = PhantomData;
    const CHECKED: () = {
        fixed::<F>();
    };

    fn configure(_: F) -> Result<Self, ConfigError> {
        Ok(PhantomData)
    }

    fn get(&self) -> &Settings {
        const { &fixed::<F>() }
    }

    fn client_id(&self) -> &[u8] {
        const { &{ fixed::<F>().client_id } }.as_bytes()
    }

    #[cfg(feature = "consumer")]
    fn group_id(&self) -> &[u8] {
        const { &{ fixed::<F>().group_id } }.as_bytes()
    }

    #[cfg(feature = "consumer")]
    fn client_rack(&self) -> &[u8] {
        const { &{ fixed::<F>().client_rack } }.as_bytes()
    }
}

const fn fixed<F: Fixed>() -> Settings {
    match Settings::new(&F::CONFIG) {
        Ok(settings) => settings,
        Err(error) => panic!("{}", error.reason),
    }
}
