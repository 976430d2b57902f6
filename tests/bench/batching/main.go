// The second baseline: the same chat service, built to be fast. One process on all processors, a hub
// in memory, and group commit: everything that waits is stored by one prepared statement, and handed
// out by a second goroutine while the next commit runs. Beyond that chatd has a second host and resume.
//
// PG*, JWT_SECRET and BCRYPT_COST come from the environment; it prints "ready PORT". A message is
// acknowledged when it is committed, whoever sends one gets its messages stored in that order, and an
// id that a client gives is stored once.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v4/pgxpool"
)

type server struct {
	pool   *pgxpool.Pool
	hub    *hub
	store  *store
	talks  *talks
	secret []byte
	cost   int
}

// connect opens the pool of those who read. The plans of its prepared statements suit all values, and to
// make some of them anew takes longer than to run them.
func connect() (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, err
	}
	config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	config.ConnConfig.RuntimeParams["jit"] = "off"
	return pgxpool.ConnectConfig(context.Background(), config)
}

func start() (*server, error) {
	pool, err := connect()
	if err != nil {
		return nil, err
	}
	cost, err := strconv.Atoi(os.Getenv("BCRYPT_COST"))
	if err != nil {
		return nil, fmt.Errorf("BCRYPT_COST: %w", err)
	}
	s := &server{pool: pool, hub: newHub(), talks: newTalks(pool), secret: []byte(os.Getenv("JWT_SECRET")), cost: cost}
	if s.store, err = newStore(s.hub.handOut); err != nil {
		return nil, err
	}
	go s.hub.beat()
	return s, nil
}

func main() {
	s, err := start()
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready", listener.Addr().(*net.TCPAddr).Port)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() { log.Fatal(http.Serve(listener, s)) }()
	<-ended
}
