package main

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// What goes out is put together by hand: encoding/json would spend more on a frame than all else does.

const hexDigits = "0123456789abcdef"

// appendString adds a JSON string. What came in as JSON is valid UTF-8 by then.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		if c >= ' ' {
			b = append(b, '\\', c)
		} else {
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}

func appendNumber(b []byte, name string, value int64) []byte {
	return strconv.AppendInt(append(b, name...), value, 10)
}

func appendTime(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, `"2006-01-02T15:04:05.000Z"`)
}

func appendBool(b []byte, name string, value bool) []byte {
	return strconv.AppendBool(append(b, name...), value)
}

// isText says whether it is a text of 1 to most bytes that PostgreSQL can keep.
func isText(s string, most int) bool {
	if s == "" || len(s) > most || !utf8.ValidString(s) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] == 0 {
			return false
		}
	}
	return true
}

// refusal is what a client is told.
type refusal struct {
	status     int
	code, text string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, code, text string) error { return &refusal{status, code, text} }

// refusalOf is what the client is told about anything that went wrong.
func refusalOf(err error) *refusal {
	if r, ok := err.(*refusal); ok {
		return r
	}
	complain(err)
	return &refusal{500, "internal", "Internal error"}
}
