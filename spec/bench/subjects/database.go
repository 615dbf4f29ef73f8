// net/http and pgx: database PORT POOL CONNINFO
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log"
	"math/rand"
	"net/http"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

const queries = 20

type world struct {
	ID           int32 `json:"id"`
	RandomNumber int32 `json:"randomNumber"`
}

type fortune struct {
	id      int32
	message string
}

type app struct {
	pool *pgxpool.Pool
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")

func random() int32 { return rand.Int31n(10000) + 1 }

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// One at a time, as each pgx connection works; the pool gives each query what is free.
func (a *app) one() (w world) {
	check(a.pool.QueryRow(context.Background(), "select id, randomnumber from world where id = $1",
		random()).Scan(&w.ID, &w.RandomNumber))
	return w
}

func (a *app) many() []world {
	rows := make([]world, queries)
	for i := range rows {
		rows[i] = a.one()
	}
	return rows
}

func (a *app) update() []world {
	rows := a.many()
	sort.Slice(rows, func(i, j int) bool { return rows[i].ID < rows[j].ID })
	batch := &pgx.Batch{}
	for i := range rows {
		rows[i].RandomNumber = random()
		batch.Queue("update world set randomnumber = $1 where id = $2", rows[i].RandomNumber,
			rows[i].ID)
	}
	check(a.pool.SendBatch(context.Background(), batch).Close())
	return rows
}

func (a *app) fortunes() []byte {
	result, err := a.pool.Query(context.Background(), "select id, message from fortune")
	check(err)
	rows := make([]fortune, 0, 16)
	for result.Next() {
		var f fortune
		check(result.Scan(&f.id, &f.message))
		rows = append(rows, f)
	}
	check(result.Err())
	rows = append(rows, fortune{0, "Additional fortune added at request time."})
	sort.Slice(rows, func(i, j int) bool { return rows[i].message < rows[j].message })
	var out bytes.Buffer
	out.WriteString("<!DOCTYPE html><html><head><title>Fortunes</title></head><body>" +
		"<table><tr><th>id</th><th>message</th></tr>")
	for _, row := range rows {
		out.WriteString("<tr><td>" + strconv.Itoa(int(row.id)) + "</td><td>")
		escape.WriteString(&out, row.message)
		out.WriteString("</td></tr>")
	}
	out.WriteString("</table></body></html>")
	return out.Bytes()
}

func send(w http.ResponseWriter, kind string, body []byte) {
	w.Header().Set("Server", "go")
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

func sendJSON(w http.ResponseWriter, value interface{}) {
	body, err := json.Marshal(value)
	check(err)
	send(w, "application/json", body)
}

func main() {
	runtime.GOMAXPROCS(1)
	config, err := pgxpool.ParseConfig(os.Args[3])
	check(err)
	size, err := strconv.Atoi(os.Args[2])
	check(err)
	config.MaxConns = int32(size)
	pool, err := pgxpool.ConnectConfig(context.Background(), config)
	check(err)
	a := &app{pool}
	http.HandleFunc("/one", func(w http.ResponseWriter, r *http.Request) { sendJSON(w, a.one()) })
	http.HandleFunc("/queries", func(w http.ResponseWriter, r *http.Request) { sendJSON(w, a.many()) })
	http.HandleFunc("/updates", func(w http.ResponseWriter, r *http.Request) { sendJSON(w, a.update()) })
	http.HandleFunc("/fortunes", func(w http.ResponseWriter, r *http.Request) {
		send(w, "text/html; charset=utf-8", a.fortunes())
	})
	check(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
