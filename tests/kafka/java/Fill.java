import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Fills the partitions of a topic with records of 10 bytes to 900 KB, in turns by a producer for each codec.
 *
 * A value says which it is: the number of the record in its partition, its length, and bytes that follow from both.
 * Writes how many records each partition has now, with commas between.
 *
 * Run from its source: java -cp ... Fill.java BOOTSTRAP TOPIC BYTES SEED CODEC,.. COUNT,..
 * (the counts: of records that the partitions have already)
 */
public class Fill {
    /** Bytes that one producer writes before it is the next one's turn. */
    static final long TURN = 2_000_000;

    static byte[] value(int number, int length) {
        byte[] value = new byte[length];
        for (int i = 0; i < 4; i++) {
            value[i] = (byte) (number >>> 24 - 8 * i);
            value[4 + i] = (byte) (length >>> 24 - 8 * i);
        }
        for (int i = 8; i < length; i++) {
            // Every fourth as if by chance: it can be compressed, and not to nothing.
            value[i] = (byte) (i % 4 == 0 ? (number + i) * 0x9E3779B1 >>> 24 : 'a' + i % 4);
        }
        return value;
    }

    public static void main(String[] arguments) throws Exception {
        Random dice = new Random(Long.parseLong(arguments[3]));
        List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
        for (String codec : arguments[4].split(",")) {
            Properties settings = new Properties();
            settings.put("bootstrap.servers", arguments[0]);
            settings.put("compression.type", codec);
            settings.put("batch.size", "65536");
            settings.put("linger.ms", "5");
            producers.add(new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer()));
        }
        String[] counts = arguments[5].split(",");
        int[] next = new int[counts.length];
        for (int partition = 0; partition < next.length; partition++) {
            next[partition] = Integer.parseInt(counts[partition]);
        }
        long left = Long.parseLong(arguments[2]);
        for (int turn = 0; left > 0; turn++) {
            KafkaProducer<byte[], byte[]> producer = producers.get(turn % producers.size());
            for (long written = 0; written < Math.min(left, TURN); ) {
                int partition = dice.nextInt(next.length);
                // As many between 10 and 100 bytes as between 100 and 1,000, and so on; then more of the small ones.
                double scale = Math.pow(dice.nextDouble(), 1.5);
                byte[] value = value(next[partition]++, (int) (10 * Math.pow(90_000, scale)));
                producer.send(new ProducerRecord<>(arguments[1], partition, null, value));
                written += value.length;
            }
            left -= TURN;
            // What the next one writes to a partition comes after it.
            producer.flush();
        }
        producers.forEach(KafkaProducer::close);
        StringBuilder told = new StringBuilder("counts ");
        for (int count : next) {
            told.append(count).append(',');
        }
        System.out.println(told);
    }
}
