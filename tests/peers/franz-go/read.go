package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Reads the topic from its beginning, as the client does by itself: it checks CRCs.
func read(a arguments) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(a.bootstrap),
		kgo.DisableClientMetrics(),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	// It is connected before it counts.
	if err := client.Ping(context.Background()); err != nil {
		return err
	}
	from := map[int32]kgo.Offset{}
	for partition := range a.partitions {
		from[int32(partition)] = kgo.NewOffset().AtStart()
	}

	before := now()
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{a.topic: from})
	records, bytes := 0, 0
	for records < a.records {
		// There are more in the topic than are to be read.
		fetches := client.PollRecords(context.Background(), a.records-records)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			records++
			bytes += len(record.Key) + len(record.Value)
		})
	}
	return report(a, before, now(), records, 0, nil)
}
