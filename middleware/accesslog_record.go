package middleware

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"

	"github.com/securews/securews/internal/contextkey"
)

type accessRecordKey struct{} // *accessRecord

// RequestID returns the id that [AccessLog] gave the request; "" without one.
func RequestID(ctx context.Context) string {
	if rec := recordOf(ctx); rec != nil {
		return *rec.requestID()
	}
	if id, ok := ctx.Value(contextkey.RequestID{}).(*string); ok && id != nil {
		return *id
	}
	return ""
}

// Annotate adds attributes to the request's line in the [AccessLog], if it has one.
func Annotate(ctx context.Context, attrs ...slog.Attr) {
	if rec := recordOf(ctx); rec != nil {
		rec.mu.Lock()
		rec.attrs = append(rec.attrs, attrs...)
		rec.mu.Unlock()
	}
}

// accessRecord gathers what inner layers know about a request. It is the request's context
// and has its writer, because one allocation costs less than three.
type accessRecord struct {
	context.Context
	writer countingWriter

	mu        sync.Mutex
	id        *string // nil: not yet asked for; apart, because it may outlive the rest
	reason    Reason
	err       error
	principal *Principal
	attrs     []slog.Attr
	room      [2]slog.Attr // where attrs begins
	identity  [3]slog.Attr // the group of principal
}

func newAccessRecord(ctx context.Context) *accessRecord {
	rec := &accessRecord{Context: ctx}
	rec.attrs = rec.room[:0]
	return rec
}

// Value implements context.Context.
func (rec *accessRecord) Value(key any) any {
	switch key {
	case accessRecordKey{}:
		return rec
	case contextkey.RequestID{}:
		return rec.requestID()
	}
	return rec.Context.Value(key)
}

// requestID makes the id when it is asked for: a refused request may do without.
func (rec *accessRecord) requestID() *string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.lockedID()
}

func (rec *accessRecord) lockedID() *string {
	if rec.id == nil {
		id := rand.Text()
		rec.id = &id
	}
	return rec.id
}

func recordOf(ctx context.Context) *accessRecord {
	rec, _ := ctx.Value(accessRecordKey{}).(*accessRecord)
	return rec
}

func recordRefusal(ctx context.Context, reason Reason, err error) {
	if rec := recordOf(ctx); rec != nil {
		rec.mu.Lock()
		rec.reason, rec.err = reason, err
		rec.mu.Unlock()
	}
}

func recordPrincipal(ctx context.Context, p *Principal) {
	if rec := recordOf(ctx); rec != nil {
		rec.mu.Lock()
		rec.principal = p
		rec.mu.Unlock()
	}
}

// principalAttr is [Principal.LogValue] without its allocations.
func (rec *accessRecord) principalAttr() slog.Attr {
	rec.identity = rec.principal.identity()
	return slog.Attr{Key: "principal", Value: slog.GroupValue(rec.identity[:]...)}
}
