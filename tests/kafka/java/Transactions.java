import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Transactions of several producers at once, over all partitions of a topic, committed and aborted as dice fall; between
 * them records without a transaction. In the end each producer leaves a transaction open.
 *
 * Writes a line for each record: what became of it (committed, aborted, plain, open), partition, offset, value.
 *
 * Run from its source: java -cp ... Transactions.java BOOTSTRAP TOPIC PARTITIONS PRODUCERS TRANSACTIONS SEED CODEC
 */
public class Transactions {
    /** A record that was sent, and where it will be. */
    record Sent(String value, Future<RecordMetadata> place) {
        void tell(String fate) throws Exception {
            System.out.println(fate + " " + place.get().partition() + " " + place.get().offset() + " " + value);
        }
    }

    final String topic;
    final int partitions;
    final Random dice;
    int number = 0;

    Transactions(String topic, int partitions, Random dice) {
        this.topic = topic;
        this.partitions = partitions;
        this.dice = dice;
    }

    static KafkaProducer<String, String> producer(String bootstrap, String codec, String transactionalId) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("compression.type", codec);
        settings.put("batch.size", "4000");
        if (transactionalId != null) {
            settings.put("transactional.id", transactionalId);
        }
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    /** Some records of some sizes for some partitions. */
    void send(KafkaProducer<String, String> producer, List<Sent> sent) {
        for (int left = 1 + dice.nextInt(12); left > 0; left--) {
            String value = number++ + "-" + "x".repeat(dice.nextInt(1500));
            sent.add(new Sent(value, producer.send(new ProducerRecord<>(topic, dice.nextInt(partitions), null, value))));
        }
        // They are in the log before those that follow, whoever sends these.
        producer.flush();
    }

    static void tell(String fate, List<Sent> records) throws Exception {
        for (Sent record : records) {
            record.tell(fate);
        }
        records.clear();
    }

    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[0];
        String topic = arguments[1];
        int count = Integer.parseInt(arguments[3]);
        int left = Integer.parseInt(arguments[4]);
        String codec = arguments[6];
        Random dice = new Random(Long.parseLong(arguments[5]));
        Transactions all = new Transactions(topic, Integer.parseInt(arguments[2]), dice);
        List<KafkaProducer<String, String>> producers = new ArrayList<>();
        List<List<Sent>> open = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            producers.add(producer(bootstrap, codec, topic + "-" + i));
            producers.get(i).initTransactions();
            open.add(new ArrayList<>());
        }
        KafkaProducer<String, String> plain = producer(bootstrap, codec, null);
        while (left > 0) {
            if (dice.nextInt(10) == 0) {
                List<Sent> sent = new ArrayList<>();
                all.send(plain, sent);
                tell("plain", sent);
            }
            int which = dice.nextInt(count);
            KafkaProducer<String, String> producer = producers.get(which);
            List<Sent> sent = open.get(which);
            if (sent.isEmpty()) {
                producer.beginTransaction();
            }
            all.send(producer, sent);
            if (dice.nextInt(3) == 0) {
                boolean commit = dice.nextBoolean();
                if (commit) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
                tell(commit ? "committed" : "aborted", sent);
                left--;
            }
        }
        for (int which = 0; which < count; which++) {
            if (open.get(which).size() > 0) {
                producers.get(which).commitTransaction();
                tell("committed", open.get(which));
            }
        }
        for (int which = 0; which < count; which++) {
            producers.get(which).beginTransaction();
            all.send(producers.get(which), open.get(which));
            tell("open", open.get(which));
        }
        System.out.flush();
        // Closed in order they would abort.
        Runtime.getRuntime().halt(0);
    }
}
