package main

import (
	"sync"
	"sync/atomic"
	"time"
)

const pingSeconds = 30

// The hub knows who is connected to this process, and that is everybody.
type hub struct {
	mu     sync.RWMutex
	online map[int64][]*client

	// Of the one goroutine that hands out.
	dirty []*client
	text  []byte
}

func newHub() *hub { return &hub{online: make(map[int64][]*client)} }

// announce goes to all but the user's own; under the lock, so that nobody hears of it in another order.
func (h *hub) announce(u user, online bool) {
	text := appendNumber(nil, `{"type":"user_status","data":{"user_id":`, u.id)
	text = append(appendBool(text, `,"online":`, online), `}}`...)
	f := frame(opText, text)
	for other, clients := range h.online {
		if other == u.id {
			continue
		}
		for _, c := range clients {
			c.send(f)
		}
	}
}

func (h *hub) arrive(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.online[c.id] = append(h.online[c.id], c)
	if len(h.online[c.id]) == 1 {
		h.announce(c.user, true)
	}
}

// leave returns whether it was the user's last.
func (h *hub) leave(c *client) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	left := h.online[c.id]
	for i := range left {
		if left[i] == c {
			left = append(left[:i], left[i+1:]...)
			break
		}
	}
	if len(left) > 0 {
		h.online[c.id] = left
		return false
	}
	delete(h.online, c.id)
	h.announce(c.user, false)
	return true
}

func (h *hub) isOnline(id int64) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.online[id]) > 0
}

// handOut brings a stored batch to all whom it concerns, with one write for each client.
func (h *hub) handOut(batch []*message) {
	h.mu.RLock()
	for _, m := range batch {
		if m.err == nil && !m.duplicate {
			h.deliver(m)
		}
		h.answer(m)
	}
	h.mu.RUnlock()
	for i, c := range h.dirty {
		c.flush()
		h.dirty[i] = nil
	}
	h.dirty = h.dirty[:0]
}

func (h *hub) put(c *client, frames []byte) {
	c.queue(frames)
	// Most have one frame of a batch, or all: who is in the list twice costs a look.
	if n := len(h.dirty); n == 0 || h.dirty[n-1] != c {
		h.dirty = append(h.dirty, c)
	}
}

func (h *hub) deliver(m *message) {
	h.text = m.appendFrame(h.text[:0])
	f := frame(opText, h.text)
	for _, member := range m.talk.members {
		for _, c := range h.online[member] {
			if c != m.from {
				h.put(c, f)
			}
		}
	}
}

func (h *hub) answer(m *message) {
	if m.err != nil {
		h.put(m.from, frame(opText, appendError(nil, m.clientID, m.hasID, m.err)))
	} else if m.hasID {
		h.text = m.appendAck(h.text[:0])
		h.put(m.from, frame(opText, h.text))
	}
}

// beat pings all, and closes those who did not answer the last ping.
func (h *hub) beat() {
	f := frame(opPing, nil)
	for range time.Tick(pingSeconds * time.Second) {
		h.mu.RLock()
		for _, clients := range h.online {
			for _, c := range clients {
				if atomic.SwapInt32(&c.alive, 0) == 0 {
					c.close()
				}
				c.send(f)
			}
		}
		h.mu.RUnlock()
	}
}
