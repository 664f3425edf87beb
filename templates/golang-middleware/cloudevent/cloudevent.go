// Package cloudevent reads and writes CloudEvents 1.0 over HTTP: https://github.com/cloudevents/spec
package cloudevent

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

const structured = "application/cloudevents+json"

var attributeName = regexp.MustCompile(`^[a-z0-9]{1,64}$`)

// Event is a CloudEvent.
type Event struct {
	ID     string
	Source string
	Type   string
	// The rest is empty where the event has no such attribute.
	Subject         string
	Time            string
	DataContentType string
	DataSchema      string
	// Extensions are its other attributes, by name.
	Extensions map[string]string
	// Data is nil where there is none.
	Data []byte
}

// DataAs decodes the data, which is JSON, into what target points to.
func (e *Event) DataAs(target interface{}) error {
	return json.Unmarshal(e.Data, target)
}

// FromRequest is the event that a request carries; nil when it carries none. It reads the body of one that does.
func FromRequest(r *http.Request) (*Event, error) {
	if !carries(r.Header) {
		return nil, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return Read(r.Header, body)
}

// Read is the event of a request's header and body; nil when they have none.
func Read(header http.Header, body []byte) (*Event, error) {
	if !carries(header) {
		return nil, nil
	}
	event := &Event{Extensions: map[string]string{}}
	var err error
	if isStructured(header) {
		err = event.readJSON(body)
	} else {
		event.readHeader(header, body)
	}
	if err == nil && (event.ID == "" || event.Source == "" || event.Type == "") {
		err = errors.New("the event lacks id, source or type")
	}
	if err != nil {
		return nil, err
	}
	return event, nil
}

// Reply answers a request with an event, which goes back to the broker that has sent the request's own.
func Reply(w http.ResponseWriter, event Event) error {
	header, body, err := event.Encode()
	if err != nil {
		return err
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(body)
	return err
}

// Encode is the event as the header and body of a request or an answer. It gets an id when it has none.
func (e Event) Encode() (http.Header, []byte, error) {
	if e.Source == "" || e.Type == "" {
		return nil, nil, errors.New("the event needs a source and a type")
	}
	if e.ID == "" {
		e.ID = newID()
	}
	header := http.Header{"Ce-Specversion": {"1.0"}}
	for name, value := range e.Extensions {
		if !attributeName.MatchString(name) || e.known(name) != nil || name == "specversion" || name == "data" {
			return nil, nil, fmt.Errorf("%q is no name of an extension: a-z and 0-9", name)
		}
		header.Set("Ce-"+name, encode(value))
	}
	for _, name := range []string{"id", "source", "type", "subject", "time", "dataschema"} {
		if value := *e.known(name); value != "" {
			header.Set("Ce-"+name, encode(value))
		}
	}
	if e.DataContentType != "" {
		header.Set("Content-Type", e.DataContentType)
	} else if e.Data != nil {
		header.Set("Content-Type", "application/json")
	}
	return header, e.Data, nil
}

func carries(header http.Header) bool {
	return header.Get("Ce-Specversion") != "" || isStructured(header)
}

func isStructured(header http.Header) bool {
	return strings.HasPrefix(strings.ToLower(header.Get("Content-Type")), structured)
}

// known is where an attribute of the specification is kept; nil for any other name.
func (e *Event) known(name string) *string {
	switch name {
	case "id":
		return &e.ID
	case "source":
		return &e.Source
	case "type":
		return &e.Type
	case "subject":
		return &e.Subject
	case "time":
		return &e.Time
	case "datacontenttype":
		return &e.DataContentType
	case "dataschema":
		return &e.DataSchema
	}
	return nil
}

func (e *Event) set(name, value string) {
	if field := e.known(name); field != nil {
		*field = value
	} else if name != "specversion" {
		e.Extensions[name] = value
	}
}

func (e *Event) readHeader(header http.Header, body []byte) {
	for name, values := range header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "ce-") {
			e.set(lower[len("ce-"):], decode(values[0]))
		}
	}
	e.DataContentType = header.Get("Content-Type")
	if len(body) > 0 {
		e.Data = body
	}
}

func (e *Event) readJSON(body []byte) error {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &members); err != nil {
		return fmt.Errorf("the event is no JSON object: %w", err)
	}
	data, encoded := members["data"], members["data_base64"]
	delete(members, "data")
	delete(members, "data_base64")
	for name, value := range members {
		if string(value) == "null" {
			continue
		}
		text, ok := textOf(value)
		if !ok {
			// Numbers and truths are attributes as they are written.
			text = string(value)
		}
		e.set(name, text)
	}
	if text, ok := textOf(encoded); ok {
		var err error
		e.Data, err = base64.StdEncoding.DecodeString(text)
		return err
	}
	if text, ok := textOf(data); ok && !isJSON(e.DataContentType) {
		e.Data = []byte(text)
	} else if data != nil {
		e.Data = data
	}
	return nil
}

func textOf(value json.RawMessage) (string, bool) {
	var text string
	if !bytes.HasPrefix(value, []byte(`"`)) || json.Unmarshal(value, &text) != nil {
		return "", false
	}
	return text, true
}

// isJSON is whether data of the type is JSON, as it is without one.
func isJSON(contentType string) bool {
	kind := strings.ToLower(strings.TrimSpace(strings.SplitN(contentType, ";", 2)[0]))
	return kind == "" || strings.HasSuffix(kind, "/json") || strings.HasSuffix(kind, "+json")
}

// decode undoes quotes, and one round of percent; what cannot be decoded stays as it came.
func decode(value string) string {
	if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
		value = unquote(value[1 : len(value)-1])
	}
	decoded := make([]byte, 0, len(value))
	for at := 0; at < len(value); at++ {
		if value[at] != '%' {
			decoded = append(decoded, value[at])
			continue
		}
		if at+2 >= len(value) {
			return value
		}
		char, err := hex.DecodeString(value[at+1 : at+3])
		if err != nil {
			return value
		}
		decoded = append(decoded, char...)
		at += 2
	}
	return string(decoded)
}

func unquote(text string) string {
	var plain strings.Builder
	for at := 0; at < len(text); at++ {
		if text[at] == '\\' && at+1 < len(text) {
			at++
		}
		plain.WriteByte(text[at])
	}
	return plain.String()
}

// encode writes everything but what a header may have as it is as UTF-8 in percent.
func encode(text string) string {
	var encoded strings.Builder
	for at := 0; at < len(text); at++ {
		if char := text[at]; char < 0x21 || char > 0x7e || char == '"' || char == '%' {
			fmt.Fprintf(&encoded, "%%%02X", char)
		} else {
			encoded.WriteByte(char)
		}
	}
	return encoded.String()
}

func newID() string {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		panic(err)
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
