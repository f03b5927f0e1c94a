package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
)

// sqlPool: database/sql itself hands out connections, whose driver speaks HTTP/1.1 by hand in the handler's goroutine.
func sqlPool(s *service) handler {
	database := sql.OpenDB(wireConnector{s.http})
	database.SetMaxOpenConns(16)
	database.SetMaxIdleConns(16)
	return func(ctx context.Context, cause string) error {
		for i := 0; i < 2; i++ {
			if _, err := database.ExecContext(ctx, s.http.announce(cause)); err != nil {
				return err
			}
		}
		return nil
	}
}

// A wireConnector is a database/sql driver for which a statement is a path to ask for.
type wireConnector struct{ caller *httpCaller }

func (c wireConnector) Connect(ctx context.Context) (driver.Conn, error) {
	wire, err := dialWire(ctx, c.caller.url.Host)
	return &wireConn{wire}, err
}

func (c wireConnector) Driver() driver.Driver { return nil }

// A wireConn is one of the pool's connections.
type wireConn struct{ wire *wire }

var errNoStatements = errors.New("this driver only executes")

func (c *wireConn) Prepare(string) (driver.Stmt, error) { return nil, errNoStatements }
func (c *wireConn) Begin() (driver.Tx, error)           { return nil, errNoStatements }
func (c *wireConn) Close() error                        { return c.wire.conn.Close() }

func (c *wireConn) ExecContext(_ context.Context, path string, _ []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(0), c.wire.ask(path)
}
