// Package redis keeps the state that the nodes of a service share in Redis or Valkey: sessions,
// tickets, rate limits, and the ends of all of them, which every node learns of at once.
//
//	shared, err := redis.New(redis.Config{Options: &goredis.UniversalOptions{Addrs: []string{"redis:6379"}}})
//	sessions, err := session.New(session.Config{Store: shared.Sessions()})
//	tickets, err := ticket.New(ticket.Config{Store: shared.Tickets(), …})
//	limiter, err := shared.Limiter(redis.Limit{Name: "login", Events: 5, Per: time.Minute})
//	limit, err := middleware.NewRateLimit(middleware.RateLimitConfig{Limiter: limiter})
//
// Nothing else is to be wired: a session.Manager on the store announces each end, and ends the
// connections of this node when another announces one. A service that has tokens and no sessions
// has the same from session.NewRevocations(shared.Sessions()).
//
// The server is Redis 6.2 or later, or Valkey: a single one, one behind Sentinel, or a Cluster.
//
// # The log
//
// Announcements are entries of one stream, the log, which each node reads on a connection of its
// own, with the name securews-log. A node that was cut off reads on after the last entry that it
// has read, so no announcement is lost, as it would be with Pub/Sub. After every read and every
// error the node checks that the last entry it read, and the newest one that it wrote, are still
// there. If not, the server has lost data: it was restarted, restored from a backup, replaced by a
// replica that was behind, or has trimmed the log. The node then
//
//   - stores the ends again that it remembers: the last 4,096 of subjects, and the last 4,096 of
//     single sessions and tokens, that it wrote or read, except those that a later one has replaced;
//   - asks again about every live connection.
//
// It also stores an end again if Redis has lost it, or has an earlier one in its place, as after the
// failover of one shard of a Cluster, or an eviction. It looks for that up to five minutes after it has
// learned of the end, and when a read finds another value.
//
// Until then, and before the node has noticed a loss, the ends that it remembers hold: a read returns
// them in place of a record or of nothing. If the server has another value, either may be the later end.
// Then reads wait, and fail once that has lasted for two seconds.
//
// Two losses are beyond that: that of the last entries of the log alone, by a failover of its shard, which
// other nodes had not read; and a clock of the server that is set back together with a loss of the log, if
// an end is stored first by a node that has started since.
//
// Every two seconds a node writes an entry to the log. If it does not read it within five
// seconds, as from a connection that is dead without an error, it connects anew.
//
// # While Redis is down
//
// Handshakes, requests with a session, logins and logouts are refused with 503 and a Retry-After.
// Open connections go on until live.Timeouts.Stale after the last good answer about their
// credential, and then end with 1013 `later`. [Shared.Ready] reports it to a load balancer.
//
// In the first half second of a fault of the log, reads wait for its end until their context ends. Later
// ones fail at once, with the error of the server as the cause. Reads of a node that starts wait until it
// has connected for the first time, or has failed to. Config.Log gets one line when
// announcements no longer arrive. The client itself logs failed dials to stderr; see goredis.SetLogger.
//
// # Settings of the server
//
//   - maxmemory-policy noeviction: any other removes sign-outs when the memory is full. New does not
//     fail, since Redis may be down, but a warning is logged.
//   - appendonly yes, if sessions are to outlive a restart. With appendfsync everysec a crash of the
//     server loses the last second; the nodes store the ends of that second again.
//   - appendfsync always, if a crash of the server must not let a ticket open a second socket: with
//     everysec the server may forget which tickets of the last second were used, and they are good
//     for their 30 s.
//   - a user, if there is an Access Control List, with +@read +@write +@connection +@transaction
//     +@scripting +info +time, on the keys of Config.Prefix.
//   - no reads from replicas: a sign-out would not hold while a replica lags behind.
package redis
