package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgconn"
)

const (
	mostBatch   = 1000
	mostWaiting = 10000 // beyond that the clients are not read
	insertText  = `insert into messages (conversation_id, sender_id, client_id, content)
select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])
on conflict (sender_id, client_id) do nothing returning id, created_at`
	findText = `select n, m.id, m.created_at, m.conversation_id, m.content
from unnest($1::bigint[], $2::text[]) with ordinality w (sender_id, client_id, n)
join messages m using (sender_id, client_id)`
)

type message struct {
	from     *client
	talk     *talk
	clientID string
	hasID    bool // the client gave it, and wants to know
	content  string

	// When it has been stored, or not.
	id        int64
	created   time.Time
	duplicate bool
	err       *refusal
}

func (m *message) appendFrame(b []byte) []byte {
	b = appendString(append(b, `{"type":"message","content":`...), m.content)
	b = appendNumber(b, `,"data":{"message_id":`, m.id)
	b = appendNumber(b, `,"conversation_id":`, m.talk.id)
	b = appendNumber(b, `,"sender_id":`, m.from.user.id)
	b = appendString(append(b, `,"sender":`...), m.from.name)
	if m.talk.direct {
		b = appendNumber(b, `,"receiver_id":`, m.talk.peerOf(m.from.user.id))
	}
	b = appendTime(append(b, `,"created_at":`...), m.created)
	return append(appendNumber(b, `,"cursor":"`, m.id), `"}}`...)
}

func (m *message) appendAck(b []byte) []byte {
	b = appendString(append(b, `{"type":"ack","id":`...), m.clientID)
	b = appendNumber(b, `,"data":{"message_id":`, m.id)
	b = appendNumber(b, `,"cursor":"`, m.id)
	return append(appendBool(b, `","duplicate":`, m.duplicate), `}}`...)
}

// The store writes what waits, all of it at a time, over one connection. While a batch is handed out
// the next is written.
type store struct {
	mu      sync.Mutex
	some    *sync.Cond // to write
	room    *sync.Cond // to wait
	waiting []*message
	conn    *pgconn.PgConn
	stored  chan []*message
}

func newStore(handOut func([]*message)) (*store, error) {
	s := &store{stored: make(chan []*message, 1)}
	s.some, s.room = sync.NewCond(&s.mu), sync.NewCond(&s.mu)
	if err := s.connect(); err != nil {
		return nil, err
	}
	go s.run()
	go func() {
		for batch := range s.stored {
			handOut(batch)
		}
	}()
	return s, nil
}

func (s *store) connect() (err error) {
	if s.conn, err = pgconn.Connect(context.Background(), ""); err != nil {
		return err
	}
	for name, text := range map[string]string{"insert": insertText, "find": findText} {
		if _, err = s.conn.Prepare(context.Background(), name, text, nil); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) put(m *message) {
	s.mu.Lock()
	for len(s.waiting) >= mostWaiting {
		s.room.Wait()
	}
	s.waiting = append(s.waiting, m)
	if len(s.waiting) == 1 {
		s.some.Signal()
	}
	s.mu.Unlock()
}

func (s *store) take() []*message {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) == 0 {
		s.some.Wait()
	}
	n := len(s.waiting)
	if n > mostBatch {
		n = mostBatch
	}
	batch := append(make([]*message, 0, n), s.waiting[:n]...)
	s.waiting = append(s.waiting[:0], s.waiting[n:]...)
	s.room.Broadcast()
	return batch
}

func (s *store) run() {
	for {
		batch := s.take()
		if err := s.write(batch); err != nil {
			complain(err)
			for _, m := range batch {
				m.err = &refusal{503, "unavailable", "The database does not answer; send it again"}
			}
		}
		s.stored <- batch
	}
}

func (s *store) write(batch []*message) error {
	if s.conn.IsClosed() {
		if err := s.connect(); err != nil {
			return err
		}
	}
	stored, err := s.insert(batch)
	if err != nil || stored == len(batch) {
		return err
	}
	return s.find(batch, stored)
}

// insert returns how many are new. unnest() gives the rows in the order of the arrays, they get their
// ids in that order, and so they come back.
func (s *store) insert(batch []*message) (stored int, err error) {
	r := s.exec("insert",
		numbers(batch, func(m *message) int64 { return m.talk.id }),
		numbers(batch, func(m *message) int64 { return m.from.user.id }),
		texts(batch, func(m *message) string { return m.clientID }),
		texts(batch, func(m *message) string { return m.content }))
	for r.NextRow() && stored < len(batch) {
		batch[stored].id, batch[stored].created = number(r.Values()[0]), timeOf(r.Values()[1])
		stored++
	}
	_, err = r.Close()
	return stored, err
}

// find is for a batch in which not all were new: which they are, and what the others' ids stand for.
func (s *store) find(batch []*message, stored int) error {
	fresh := make(map[int64]bool)
	for _, m := range batch[:stored] {
		fresh[m.id] = true
	}
	r := s.exec("find",
		numbers(batch, func(m *message) int64 { return m.from.user.id }),
		texts(batch, func(m *message) string { return m.clientID }))
	found := make([]bool, len(batch))
	for r.NextRow() {
		v := r.Values()
		n := number(v[0]) - 1
		m := batch[n]
		found[n] = true
		m.id, m.created = number(v[1]), timeOf(v[2])
		if number(v[3]) != m.talk.id || string(v[4]) != m.content {
			m.err = &refusal{409, "conflict", "This id was used before, for another message"}
		}
	}
	if _, err := r.Close(); err != nil {
		return err
	}
	for i, m := range batch {
		if !found[i] {
			return fmt.Errorf("message %q is not there", m.clientID)
		}
		m.duplicate = !fresh[m.id]
		delete(fresh, m.id) // once: the same id may be in the batch again
	}
	return nil
}

// --- PostgreSQL's binary format, which spares both sides the text ---

const oidInt8, oidText = 20, 25

var binaryFormat = []int16{1}

func (s *store) exec(name string, values ...[]byte) *pgconn.ResultReader {
	return s.conn.ExecPrepared(context.Background(), name, values, binaryFormat, binaryFormat)
}

func arrayHead(n, oid, size int) []byte {
	b := make([]byte, 20, 20+size)
	binary.BigEndian.PutUint32(b, 1) // dimensions
	binary.BigEndian.PutUint32(b[8:], uint32(oid))
	binary.BigEndian.PutUint32(b[12:], uint32(n))
	binary.BigEndian.PutUint32(b[16:], 1) // the first index
	return b
}

func numbers(batch []*message, of func(*message) int64) []byte {
	b := arrayHead(len(batch), oidInt8, 12*len(batch))
	for _, m := range batch {
		var element [12]byte
		binary.BigEndian.PutUint32(element[:], 8)
		binary.BigEndian.PutUint64(element[4:], uint64(of(m)))
		b = append(b, element[:]...)
	}
	return b
}

func texts(batch []*message, of func(*message) string) []byte {
	b := arrayHead(len(batch), oidText, 64*len(batch))
	for _, m := range batch {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(of(m))))
		b = append(append(b, size[:]...), of(m)...)
	}
	return b
}

func number(value []byte) int64 { return int64(binary.BigEndian.Uint64(value)) }

// timeOf reads microseconds since 2000.
func timeOf(value []byte) time.Time {
	return time.UnixMicro(946684800000000 + number(value))
}
