package main

import (
	"log"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

const (
	opText, opClose, opPing, opPong = 0x81, 0x88, 0x89, 0x8a
	mostQueued                      = 4 << 20 // bytes; a client that is so far behind is closed
	writeSeconds                    = 30
)

func complain(err error) { log.Print(err) }

// A client is one WebSocket. gorilla reads from it. Writing is done here, since a server's frame is
// its text behind two to ten bytes, and those of a whole batch go out in one call.
type client struct {
	user
	socket *websocket.Conn
	tcp    *net.TCPConn
	raw    syscall.RawConn
	alive  int32 // it has answered since the last ping

	mu       sync.Mutex
	out      []byte
	draining bool // a goroutine writes, because the socket was full; or it is not open yet
	closed   bool
}

// newClient makes one that only queues, until it is opened.
func newClient(u user) *client { return &client{user: u, alive: 1, draining: true} }

func (c *client) open(socket *websocket.Conn) error {
	tcp := socket.UnderlyingConn().(*net.TCPConn)
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	socket.SetReadLimit(mostBody)
	socket.SetPongHandler(func(string) error { atomic.StoreInt32(&c.alive, 1); return nil })
	socket.SetPingHandler(func(data string) error { c.send(frame(opPong, []byte(data))); return nil })
	socket.SetCloseHandler(func(code int, _ string) error {
		c.send(frame(opClose, websocket.FormatCloseMessage(code, "")))
		return nil
	})
	c.mu.Lock()
	c.socket, c.tcp, c.raw = socket, tcp, raw
	c.draining = false
	c.mu.Unlock()
	c.flush()
	return nil
}

func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.tcp != nil {
		c.tcp.Close()
	}
}

func frame(op byte, text []byte) []byte {
	return append(appendHead(make([]byte, 0, len(text)+10), op, len(text)), text...)
}

func appendHead(b []byte, op byte, n int) []byte {
	switch {
	case n < 126:
		return append(b, op, byte(n))
	case n < 65536:
		return append(b, op, 126, byte(n>>8), byte(n))
	}
	return append(b, op, 127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// queue keeps whole frames until flush.
func (c *client) queue(frames []byte) {
	c.mu.Lock()
	fits := len(c.out)+len(frames) <= mostQueued
	if fits && !c.closed {
		c.out = append(c.out, frames...)
	}
	c.mu.Unlock()
	if !fits {
		c.close()
	}
}

// flush writes what the socket takes at once, in the goroutine that calls: to start another one costs
// more than the call. A goroutine is for the rest.
func (c *client) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining || len(c.out) == 0 {
		return
	}
	n := c.tryWrite(c.out)
	if n == len(c.out) {
		c.out = c.out[:0]
		return
	}
	c.out = append([]byte(nil), c.out[n:]...)
	c.draining = true
	go c.drain()
}

func (c *client) tryWrite(b []byte) int {
	n := 0
	c.raw.Write(func(fd uintptr) bool {
		n, _ = syscall.Write(int(fd), b)
		return true
	})
	if n < 0 {
		return 0
	}
	return n
}

func (c *client) drain() {
	for {
		c.mu.Lock()
		b := c.out
		c.out = nil
		c.draining = len(b) > 0
		c.mu.Unlock()
		if len(b) == 0 {
			return
		}
		c.tcp.SetWriteDeadline(time.Now().Add(writeSeconds * time.Second))
		if _, err := c.tcp.Write(b); err != nil {
			c.close() // draining it stays: nothing is written any more
			return
		}
	}
}

func (c *client) send(frames []byte) {
	c.queue(frames)
	c.flush()
}

func (c *client) sendText(text []byte) { c.send(frame(opText, text)) }
