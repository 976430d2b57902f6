package main

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

const pageOfConversations = 50

func (s *server) conversations(r *http.Request, u user) (int, []byte, error) {
	before, err := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	if err != nil {
		before = 1<<63 - 1
	}
	rows, err := s.pool.Query(context.Background(), "select * from conversation_list($1, $2, $3)",
		u.id, before, pageOfConversations)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	b := []byte(`{"conversations":[`)
	var count, last int64
	for rows.Next() {
		if b, last, err = s.appendConversation(b, rows); err != nil {
			return 0, nil, err
		}
		count++
	}
	b = closeList(b)
	if count < pageOfConversations {
		return 200, append(b, `,"next":null}`...), rows.Err()
	}
	return 200, append(appendNumber(b, `,"next":"`, last), `"}`...), rows.Err()
}

func appendOrNull(b []byte, name string, s *string) []byte {
	b = append(b, name...)
	if s == nil {
		return append(b, `null`...)
	}
	return appendString(b, *s)
}

func (s *server) appendConversation(b []byte, rows pgx.Rows) ([]byte, int64, error) {
	var id, readUpto, unread, lastID, sender int64
	var kind, created, role, content, sent string
	var name, peer *string
	var peerID *int64
	if err := rows.Scan(&id, &kind, &name, &created, &role, &peerID, &peer, &readUpto, &unread, &lastID, &sender,
		&content, &sent); err != nil {
		return nil, 0, err
	}
	b = appendNumber(b, `{"id":`, id)
	b = appendString(append(b, `,"kind":`...), kind)
	b = appendOrNull(b, `,"name":`, name)
	b = appendString(append(b, `,"created_at":`...), created)
	b = appendString(append(b, `,"role":`...), role)
	if peerID != nil {
		b = appendNumber(b, `,"peer":{"id":`, *peerID)
		b = appendOrNull(b, `,"username":`, peer)
		b = append(appendBool(b, `,"online":`, s.hub.isOnline(*peerID)), '}')
	}
	b = appendNumber(b, `,"unread":`, unread)
	b = appendNumber(b, `,"read_upto":`, readUpto)
	b = appendNumber(b, `,"last_message":{"id":`, lastID)
	b = appendNumber(b, `,"conversation_id":`, id)
	b = appendNumber(b, `,"sender_id":`, sender)
	b = appendString(append(b, `,"content":`...), content)
	return append(appendString(append(b, `,"created_at":`...), sent), `}},`...), lastID, nil
}

// makeConversation makes a group; the caller is its owner.
func (s *server) makeConversation(r *http.Request, u user) (int, []byte, error) {
	var asked struct {
		Name    string
		Members []int64
	}
	if err := bodyOf(r, &asked); err != nil {
		return 0, nil, err
	}
	if !isText(asked.Name, 254) {
		return 0, nil, refuse(400, "bad_field", `"name" is missing`)
	}
	var id int64
	var count int64
	err := s.pool.QueryRow(context.Background(),
		`with c as (insert into conversations (kind, name) values ('group', $1) returning id),
		      m as (insert into members (conversation_id, user_id, role)
		            select distinct c.id, u, case when u = $2 then 'owner' else 'member' end
		              from c, unnest($3::bigint[] || $2::bigint) u returning conversation_id)
		 select max(conversation_id), count(*) from m`, asked.Name, u.id, asked.Members).Scan(&id, &count)
	var e *pgconn.PgError
	if errors.As(err, &e) && e.Code == "23503" {
		return 0, nil, refuse(404, "unknown_user", "There is no user with one of these ids")
	}
	if err != nil {
		return 0, nil, err
	}
	b := appendNumber(nil, `{"id":`, id)
	b = appendString(append(b, `,"kind":"group","name":`...), asked.Name)
	b = appendNumber(b, `,"role":"owner","member_count":`, count)
	return 201, append(b, `,"unread":0,"read_upto":0,"last_message":null}`...), nil
}

func (s *server) members(u user, id int64) (int, []byte, error) {
	if _, err := s.talks.withID(id, u.id); err != nil {
		return 0, nil, err
	}
	rows, err := s.pool.Query(context.Background(),
		`select user_id, username, role, read_upto from members join users on id = user_id
		  where conversation_id = $1 order by user_id`, id)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	b := []byte{'['}
	for rows.Next() {
		var member, readUpto int64
		var name, role string
		if err := rows.Scan(&member, &name, &role, &readUpto); err != nil {
			return 0, nil, err
		}
		b = appendNumber(b, `{"user_id":`, member)
		b = appendString(append(b, `,"username":`...), name)
		b = appendString(append(b, `,"role":`...), role)
		b = appendBool(b, `,"online":`, s.hub.isOnline(member))
		b = append(appendNumber(b, `,"read_upto":`, readUpto), `},`...)
	}
	return 200, closeList(b), rows.Err()
}

// setRead moves the caller's watermark, never back.
func (s *server) setRead(r *http.Request, u user, id int64) (int, []byte, error) {
	var asked struct {
		Message int64 `json:"message_id"`
	}
	if err := bodyOf(r, &asked); err != nil {
		return 0, nil, err
	}
	if _, err := s.talks.withID(id, u.id); err != nil {
		return 0, nil, err
	}
	_, err := s.pool.Exec(context.Background(),
		"update members set read_upto = $3 where conversation_id = $1 and user_id = $2 and read_upto < $3",
		id, u.id, asked.Message)
	return 204, nil, err
}
