package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"golang.org/x/crypto/bcrypt"
)

const mostBody = 65536

var upgrader = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024, WriteBufferPool: &sync.Pool{},
	CheckOrigin: func(*http.Request) bool { return true }}

func randomID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ws" {
		s.serveSocket(w, r)
		return
	}
	status, body, err := s.route(r)
	if err != nil {
		refused := refusalOf(err)
		status = refused.status
		body = append(appendString([]byte(`{"error":`), refused.text), '}')
	}
	w.Header().Set("Content-Type", "application/json")
	if status != 204 {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	w.Write(body)
}

func (s *server) serveSocket(w http.ResponseWriter, r *http.Request) {
	u, err := s.verify(r)
	if err != nil {
		http.Error(w, `{"error":"unauthorized"}`, 401)
		return
	}
	// Whoever has seen the 101 gets what is sent from then on: so the hub knows it before.
	c := newClient(u)
	s.hub.arrive(c)
	socket, err := upgrader.Upgrade(w, r, nil)
	if err == nil {
		err = c.open(socket)
	}
	if err != nil {
		if socket != nil {
			socket.Close()
		}
		s.leave(c)
		return
	}
	go s.read(c) // and what the request took can go
}

func (s *server) leave(c *client) {
	c.close()
	if s.hub.leave(c) {
		if _, err := s.pool.Exec(context.Background(), "update users set last_seen = now() where id = $1", c.id); err != nil {
			complain(err)
		}
	}
}

func (s *server) read(c *client) {
	defer s.leave(c)
	for {
		kind, text, err := c.socket.ReadMessage()
		if err != nil {
			return
		}
		if kind == websocket.TextMessage {
			s.take(c, text)
		}
	}
}

// --- routes ---

func (s *server) route(r *http.Request) (int, []byte, error) {
	switch r.Method + " " + r.URL.Path {
	case "POST /register":
		return s.register(r)
	case "POST /login":
		return s.login(r)
	}
	u, err := s.verify(r)
	if err != nil {
		return 0, nil, err
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) == 1 {
		switch r.Method + " " + parts[0] {
		case "GET users":
			return s.users()
		case "GET conversations":
			return s.conversations(r, u)
		case "POST conversations":
			return s.makeConversation(r, u)
		}
	} else if id, err := strconv.ParseInt(parts[1], 10, 64); err == nil {
		parts[1] = ":"
		switch r.Method + " " + strings.Join(parts, "/") {
		case "GET messages/:":
			return s.history(u, id)
		case "GET conversations/:/messages":
			return s.conversationHistory(u, id)
		case "GET conversations/:/members":
			return s.members(u, id)
		case "PUT conversations/:/read":
			return s.setRead(r, u, id)
		}
	}
	return 0, nil, refuse(404, "not_found", "There is no such resource")
}

func bodyOf(r *http.Request, into interface{}) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, mostBody+1))
	if err != nil {
		return err
	}
	if len(body) > mostBody {
		return refuse(413, "too_large", "The body is too large")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return refuse(400, "bad_json", err.Error())
	}
	return nil
}

type account struct{ Username, Password, Email string }

func (s *server) loggedIn(status int, u user, email string) (int, []byte, error) {
	b := appendString([]byte(`{"token":`), s.makeToken(u))
	b = appendNumber(b, `,"token_type":"Bearer","expires_in":`, lifetime)
	b = appendNumber(b, `,"user":{"id":`, u.id)
	b = appendString(append(b, `,"username":`...), u.name)
	return status, append(appendString(append(b, `,"email":`...), email), `}}`...), nil
}

func (s *server) register(r *http.Request) (int, []byte, error) {
	var a account
	if err := bodyOf(r, &a); err != nil {
		return 0, nil, err
	}
	for name, value := range map[string]string{"username": a.Username, "password": a.Password, "email": a.Email} {
		if !isText(value, 254) {
			return 0, nil, refuse(400, "bad_field", fmt.Sprintf("%q is missing", name))
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(a.Password), s.cost)
	if err != nil {
		return 0, nil, refuse(400, "bad_field", err.Error())
	}
	u := user{name: a.Username}
	err = s.pool.QueryRow(r.Context(),
		"insert into users (username, email, password_hash) values ($1, $2, $3) returning id",
		a.Username, a.Email, string(hash)).Scan(&u.id)
	var e *pgconn.PgError
	if errors.As(err, &e) && e.Code == "23505" {
		return 0, nil, refuse(409, "taken", "This username or email is taken")
	}
	if err != nil {
		return 0, nil, err
	}
	return s.loggedIn(201, u, a.Email)
}

func (s *server) login(r *http.Request) (int, []byte, error) {
	var a account
	if err := bodyOf(r, &a); err != nil {
		return 0, nil, err
	}
	u, email, hash := user{name: a.Username}, "", ""
	err := s.pool.QueryRow(r.Context(), "select id, email, password_hash from users where username = $1", a.Username).
		Scan(&u.id, &email, &hash)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, nil, err
	}
	if err != nil || bcrypt.CompareHashAndPassword([]byte(hash), []byte(a.Password)) != nil {
		return 0, nil, refuse(401, "unauthorized", "Wrong username or password")
	}
	return s.loggedIn(200, u, email)
}

func (s *server) users() (int, []byte, error) {
	rows, err := s.pool.Query(context.Background(), "select id, username, last_seen from users order by id")
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	b := []byte{'['}
	for rows.Next() {
		var u user
		var seen *time.Time
		if err := rows.Scan(&u.id, &u.name, &seen); err != nil {
			return 0, nil, err
		}
		online := s.hub.isOnline(u.id)
		if online {
			now := time.Now()
			seen = &now
		}
		b = appendNumber(b, `{"id":`, u.id)
		b = appendString(append(b, `,"username":`...), u.name)
		b = append(appendBool(b, `,"online":`, online), `,"last_seen":`...)
		if seen == nil {
			b = append(b, `null`...)
		} else {
			b = appendTime(b, *seen)
		}
		b = append(b, `},`...)
	}
	return 200, closeList(b), rows.Err()
}

// closeList ends a list whose elements all have a comma behind them.
func closeList(b []byte) []byte {
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, ']')
}

func (s *server) history(u user, other int64) (int, []byte, error) {
	found, err := s.talks.between(u.id, other)
	if err != nil {
		return 0, nil, err
	}
	return s.page(u, found)
}

func (s *server) conversationHistory(u user, id int64) (int, []byte, error) {
	found, err := s.talks.withID(id, u.id)
	if err != nil {
		return 0, nil, err
	}
	return s.page(u, found)
}

func (s *server) page(u user, t *talk) (int, []byte, error) {
	rows, err := s.pool.Query(context.Background(),
		`select id, sender_id, content, created_at
		   from (select * from messages where conversation_id = $1 order by id desc limit 50) m order by id`, t.id)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	b := []byte{'['}
	for rows.Next() {
		var id, sender int64
		var content string
		var created time.Time
		if err := rows.Scan(&id, &sender, &content, &created); err != nil {
			return 0, nil, err
		}
		b = appendNumber(b, `{"id":`, id)
		b = appendNumber(b, `,"conversation_id":`, t.id)
		b = appendNumber(b, `,"sender_id":`, sender)
		if t.direct {
			b = appendNumber(b, `,"receiver_id":`, t.peerOf(sender))
		}
		b = appendString(append(b, `,"content":`...), content)
		b = append(appendTime(append(b, `,"created_at":`...), created), `},`...)
	}
	return 200, closeList(b), rows.Err()
}
