package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const lifetime = 86400

type user struct {
	id   int64
	name string
}

type claims struct {
	Subject string `json:"sub"`
	Name    string `json:"name"`
	Issued  int64  `json:"iat"`
	Expires int64  `json:"exp"`
}

var encoding = base64.RawURLEncoding
var head = encoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

func (s *server) sign(text string) string {
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(text))
	return encoding.EncodeToString(mac.Sum(nil))
}

func (s *server) makeToken(u user) string {
	now := time.Now().Unix()
	body, _ := json.Marshal(claims{strconv.FormatInt(u.id, 10), u.name, now, now + lifetime})
	text := head + "." + encoding.EncodeToString(body)
	return text + "." + s.sign(text)
}

// verify returns the user that a request acts for. Only the head that makeToken writes is taken: it
// names the algorithm.
func (s *server) verify(r *http.Request) (user, error) {
	unauthorized := refuse(401, "unauthorized", "The token is invalid or has expired; log in again")
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[0] != head || !hmac.Equal([]byte(s.sign(parts[0]+"."+parts[1])), []byte(parts[2])) {
		return user{}, unauthorized
	}
	var c claims
	body, err := encoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(body, &c) != nil || c.Expires <= time.Now().Unix() {
		return user{}, unauthorized
	}
	id, err := strconv.ParseInt(c.Subject, 10, 64)
	if err != nil {
		return user{}, unauthorized
	}
	return user{id, c.Name}, nil
}
