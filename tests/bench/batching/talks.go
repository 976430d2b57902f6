package main

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4/pgxpool"
)

const mostContent = 16384

// A talk is a conversation: of two users, or of a group.
type talk struct {
	id      int64
	direct  bool
	members []int64
}

func (t *talk) has(id int64) bool {
	for _, m := range t.members {
		if m == id {
			return true
		}
	}
	return false
}

func (t *talk) peerOf(id int64) int64 {
	for _, m := range t.members {
		if m != id {
			return m
		}
	}
	return id
}

type pair struct{ low, high int64 }

func pairOf(a, b int64) pair {
	if a < b {
		return pair{a, b}
	}
	return pair{b, a}
}

// talks keeps the members of each conversation that has been used. They do not change here: the
// groups of a bench are made once.
type talks struct {
	pool    *pgxpool.Pool
	mu      sync.RWMutex
	byID    map[int64]*talk
	directs map[pair]*talk
}

func newTalks(pool *pgxpool.Pool) *talks {
	return &talks{pool: pool, byID: make(map[int64]*talk), directs: make(map[pair]*talk)}
}

// withID returns it for one of its members.
func (t *talks) withID(id, caller int64) (*talk, error) {
	t.mu.RLock()
	found := t.byID[id]
	t.mu.RUnlock()
	if found == nil {
		var err error
		if found, err = t.read(id); err != nil {
			return nil, err
		}
	}
	if !found.has(caller) {
		return nil, refuse(404, "unknown_conversation", "You are in no conversation with this id")
	}
	return found, nil
}

func (t *talks) read(id int64) (*talk, error) {
	found := &talk{id: id}
	err := t.pool.QueryRow(context.Background(),
		`select coalesce(bool_or(kind = 'direct'), false), coalesce(array_agg(user_id order by user_id), '{}')
		   from members join conversations c on c.id = conversation_id where conversation_id = $1`, id).
		Scan(&found.direct, &found.members)
	if err != nil || len(found.members) == 0 {
		return found, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byID[id] = found
	if found.direct {
		t.directs[pairOf(found.members[0], found.members[len(found.members)-1])] = found
	}
	return found, nil
}

// between returns that of two users, which it makes where there is none.
func (t *talks) between(caller, other int64) (*talk, error) {
	t.mu.RLock()
	found := t.directs[pairOf(caller, other)]
	t.mu.RUnlock()
	if found != nil {
		return found, nil
	}
	var id int64
	err := t.pool.QueryRow(context.Background(), "select direct($1, $2)", caller, other).Scan(&id)
	var e *pgconn.PgError
	if errors.As(err, &e) && e.Code == "23503" {
		return nil, refuse(404, "unknown_receiver", "There is no user with this receiver_id")
	}
	if err != nil {
		return nil, err
	}
	return t.read(id)
}

// --- frames of a client ---

type clientFrame struct {
	Type    string  `json:"type"`
	ID      *string `json:"id"`
	Content string  `json:"content"`
	Data    struct {
		Receiver     int64 `json:"receiver_id"`
		Conversation int64 `json:"conversation_id"`
	} `json:"data"`
}

// take serves one frame. What it finds out about a message it finds out here, in the goroutine of its
// client, and so the messages of a client are put into the store in their order.
func (s *server) take(c *client, text []byte) {
	var f clientFrame
	err := json.Unmarshal(text, &f)
	switch {
	case err != nil:
		err = refuse(400, "bad_json", err.Error())
	case f.Type == "message":
		err = s.takeMessage(c, &f)
	case f.Type == "ping":
		c.sendText([]byte(`{"type":"pong"}`))
	default:
		err = refuse(400, "bad_frame", `unknown "type"`)
	}
	if err != nil {
		id := ""
		if f.ID != nil {
			id = *f.ID
		}
		c.sendText(appendError(nil, id, f.ID != nil, refusalOf(err)))
	}
}

func (s *server) takeMessage(c *client, f *clientFrame) (err error) {
	m := &message{from: c, content: f.Content, hasID: f.ID != nil}
	if m.hasID {
		m.clientID = *f.ID
	} else {
		m.clientID = randomID()
	}
	switch {
	case !isText(f.Content, mostContent):
		return refuse(400, "bad_frame", `"content" must be a text`)
	case !isText(m.clientID, 64):
		return refuse(400, "bad_frame", `"id" must be a text of 1 to 64 bytes`)
	case (f.Data.Receiver == 0) == (f.Data.Conversation == 0):
		return refuse(400, "bad_frame", `one of "receiver_id" and "conversation_id" must be an id`)
	case f.Data.Receiver != 0:
		m.talk, err = s.talks.between(c.id, f.Data.Receiver)
	default:
		m.talk, err = s.talks.withID(f.Data.Conversation, c.id)
	}
	if err == nil {
		s.store.put(m)
	}
	return err
}

func appendError(b []byte, id string, hasID bool, r *refusal) []byte {
	b = append(b, `{"type":"error"`...)
	if hasID {
		b = appendString(append(b, `,"id":`...), id)
	}
	b = appendString(append(b, `,"error":`...), r.text)
	b = appendString(append(b, `,"data":{"code":`...), r.code)
	return append(appendBool(b, `,"temporary":`, r.status >= 500), `}}`...)
}
