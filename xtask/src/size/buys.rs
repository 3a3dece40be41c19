//! What the functions that cost most are there for: who wants a smaller image sees what would have to go.

/// Parts of a function's name, and what it buys; the first that fits counts.
const BUYS: [(&str, &str); 38] = [
    ("embassy_net", "TCP/IP: in plain TCP, too"),
    ("smoltcp", "TCP/IP: in plain TCP, too"),
    (
        "select::Select",
        "the work itself: connecting, requests and how they are written, and the clock's timeouts and retries",
    ),
    ("run_connection", "the work itself: connecting, requests and how they are written"),
    ("Producer<P>::talk", "the work itself: connecting, requests and how they are written"),
    ("TaskStorage", "the tasks: the network's, as in plain TCP; Kafka's; the program's own, with the start of all"),
    ("answer::<impl demitasse_core::state::State<P>>::receive", "reads answers as they stream by, and acts on them"),
    ("choose::", "which partition a record goes to"),
    ("append::", "a record into a batch: its batch, its bytes, or why not"),
    ("send::", "requests from what is ready, in order, with a sequence for each batch"),
    ("ready::", "which connection takes what, and what is sent again, in order"),
    ("exchange::links", "connections that are made, end or are lost"),
    ("exchange::ask", "what is asked of a broker beside records"),
    ("exchange::open", "whom to connect to, and who gives way"),
    ("answer::", "what an answer means for a batch: written, again, elsewhere, refused, unknown"),
    ("deliver::", "an outcome for each record, exactly one, and who is told"),
    ("sequence::", "idempotence: sequences, and epochs when one is lost"),
    ("tick::", "what takes too long, and whom to ask"),
    ("expire::", "batches whose time is over"),
    ("cluster::", "what is known of brokers, topics and partitions, in tables of fixed size"),
    ("consumer::group", "places kept in Kafka under a group's name"),
    ("consumer::ask", "requests for records, places and epochs, in sessions"),
    ("cursor::", "one record after the other, out of batches that may be anything"),
    ("consumer::", "what is read: chunks, places, checks, records lent and given back"),
    ("crc32c", "the checksum of batches; its table is a kilobyte for half the instructions"),
    ("records::", "the bytes of records and batches"),
    ("wire::", "Kafka's integers and texts, and passing over what nobody asked for"),
    ("pool::", "lists and tables that do not grow"),
    ("protocol::", "Kafka's messages"),
    ("demitasse_io_embassy", "the socket as the core wants it"),
    ("demitasse_core", "the rest of the client"),
    ("ethernet", "the driver of the network chip: in plain TCP, too"),
    ("executor", "the executor and the board's start: in plain TCP, too"),
    ("clock", "the clock: in plain TCP, too"),
    ("embassy_time", "timers: in plain TCP, too"),
    ("mem", "copying and comparing bytes: in plain TCP, too"),
    ("heapless", "TCP/IP's table of neighbours: in plain TCP, too"),
    ("::", "the program itself"),
];

/// What a function buys.
pub(super) fn buys(name: &str) -> &'static str {
    BUYS.iter()
        .find(|(part, _)| name.contains(part))
        .map_or("the processor's start, interrupts and arithmetic", |(_, what)| what)
}
