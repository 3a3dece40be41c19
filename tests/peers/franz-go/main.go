// franz-go: pure Go, idempotent, a promise a record; or a consumer. The same arguments and the same line of JSON as the other peers.
//
// Its settings for throughput: no compression, no limit by the number of records, only by bytes, and a partition for as
// long as a batch. Allocations are what Go's runtime counts, in every run: it costs nothing.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const module = "github.com/twmb/franz-go"

type arguments struct {
	bootstrap, topic                         string
	partitions, records, size, batch, linger int
	memory, rate                             int
}

func main() {
	var a arguments
	flag.StringVar(&a.bootstrap, "bootstrap", "", "one broker, HOST:PORT")
	flag.StringVar(&a.topic, "topic", "", "a topic that exists")
	flag.IntVar(&a.partitions, "partitions", 4, "how many partitions it has")
	flag.IntVar(&a.records, "records", 0, "records to send after the one that warms up")
	flag.IntVar(&a.size, "size", 0, "bytes of each record's value")
	flag.IntVar(&a.batch, "batch", 1_000_000, "bytes of a batch")
	flag.IntVar(&a.linger, "linger", 5, "milliseconds")
	flag.IntVar(&a.memory, "memory", 32<<20, "bytes that may wait to be sent")
	flag.IntVar(&a.rate, "rate", 0, "records a second, to measure latency")
	flag.Bool("allocations", false, "they are counted anyway")
	mode := flag.String("mode", "", "read, or nothing to send")
	flag.Parse()
	does := run
	if *mode == "read" {
		does = read
	}
	if err := does(a); err != nil {
		fmt.Fprintln(os.Stderr, "franz-go:", err)
		os.Exit(1)
	}
}

func run(a arguments) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(a.bootstrap),
		kgo.DefaultProduceTopic(a.topic),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(int32(a.batch)),
		kgo.ProducerLinger(time.Duration(a.linger)*time.Millisecond),
		kgo.MaxBufferedRecords(math.MaxInt32),
		kgo.MaxBufferedBytes(a.memory),
		kgo.RecordPartitioner(kgo.UniformBytesPartitioner(a.batch, true, true, nil)),
		kgo.DisableClientMetrics(),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	payload := slices.Repeat([]byte{'x'}, a.size)
	if err := client.ProduceSync(context.Background(), kgo.SliceRecord(payload)).FirstErr(); err != nil {
		return err
	}

	before := now()
	seen, err := send(client, a, payload, before.at)
	if err != nil {
		return err
	}
	return report(a, before, now(), seen.acknowledged, 1, seen.millis)
}

// What the promises saw.
type seen struct {
	mutex        sync.Mutex
	acknowledged int
	failed       error
	millis       []float64
}

func send(client *kgo.Client, a arguments, payload []byte, begun time.Time) (*seen, error) {
	seen := &seen{}
	if a.rate > 0 {
		seen.millis = make([]float64, 0, a.records)
	}
	for number := range a.records {
		var sent time.Time
		if a.rate > 0 {
			due := begun.Add(time.Duration(number) * time.Second / time.Duration(a.rate))
			time.Sleep(time.Until(due))
			// A record that waited for others is late from when it was due.
			if sent = time.Now(); sent.Sub(due) > 2*time.Millisecond {
				sent = due
			}
		}
		client.Produce(context.Background(), kgo.SliceRecord(payload), func(_ *kgo.Record, err error) {
			seen.told(sent, err)
		})
	}
	if err := client.Flush(context.Background()); err != nil {
		return nil, err
	}
	return seen, seen.failed
}

func (s *seen) told(sent time.Time, err error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if err != nil {
		s.failed = err
		return
	}
	s.acknowledged++
	if !sent.IsZero() {
		s.millis = append(s.millis, time.Since(sent).Seconds()*1000)
	}
}

// What the process had used at some moment.
type moment struct {
	at      time.Time
	usage   syscall.Rusage
	mallocs uint64
}

func now() moment {
	var m moment
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	m.mallocs = memory.Mallocs
	// It cannot fail for the process itself.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &m.usage)
	m.at = time.Now()
	return m
}

// Of `seen` records that count, after so many that warmed up.
func report(a arguments, before, after moment, seen, warmUp int, millis []float64) error {
	if seen != a.records {
		return fmt.Errorf("%d of %d records came through", seen, a.records)
	}
	peak, err := peakMib()
	if err != nil {
		return err
	}
	each := func(total float64) float64 { return total / float64(a.records) }
	micros := func(before, after syscall.Timeval) float64 {
		return float64(after.Nano()-before.Nano()) / 1000
	}
	u, v := &before.usage, &after.usage
	seconds := after.at.Sub(before.at).Seconds()
	line := map[string]any{
		"client": "franz-go", "version": version(),
		"records": a.records, "records_in_all": a.records + warmUp, "size": a.size, "batch_bytes": a.batch,
		"linger_ms": a.linger, "partitions": a.partitions, "rate": nil,
		"seconds": seconds, "records_per_second": float64(a.records) / seconds,
		"user_us_per_record":        each(micros(u.Utime, v.Utime)),
		"system_us_per_record":      each(micros(u.Stime, v.Stime)),
		"switches_per_1000_records": each(float64(v.Nvcsw+v.Nivcsw-u.Nvcsw-u.Nivcsw) * 1000),
		"p50_ms":                    quantile(millis, 0.5),
		"p99_ms":                    quantile(millis, 0.99),
		"p999_ms":                   quantile(millis, 0.999),
		"allocations_per_record":    each(float64(after.mallocs - before.mallocs)),
		"peak_mib":                  peak,
	}
	if a.rate > 0 {
		line["rate"] = a.rate
	}
	return json.NewEncoder(os.Stdout).Encode(line)
}

// The quantile of what was measured; null if nothing was.
func quantile(millis []float64, q float64) any {
	if len(millis) == 0 {
		return nil
	}
	slices.Sort(millis)
	return millis[min(int(q*float64(len(millis))), len(millis)-1)]
}

// The most that was ever resident. Not getrusage's figure: that one begins with the parent's.
func peakMib() (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	kib := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if kib == nil {
		return 0, fmt.Errorf("no VmHWM in /proc/self/status")
	}
	number, err := strconv.ParseFloat(string(kib[1]), 64)
	return number / 1024, err
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			return dependency.Version + ", " + runtime.Version()
		}
	}
	return "unknown"
}
