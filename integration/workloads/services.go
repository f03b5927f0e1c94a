package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strconv"
)

// A stockLevel is inventory's answer.
type stockLevel struct {
	Item      string `json:"item"`
	InStock   uint32 `json:"in_stock"`
	Warehouse string `json:"warehouse"`
	Digest    string `json:"digest"`
}

// An orderLine is one row of an order.
type orderLine struct {
	Item     string `json:"item"`
	Quantity uint32 `json:"quantity"`
	Cents    uint64 `json:"cents"`
}

// An order is orders' answer.
type order struct {
	ID        string      `json:"id"`
	Lines     []orderLine `json:"lines"`
	Available bool        `json:"available"`
	Stock     stockLevel  `json:"stock"`
}

// A receipt is gateway's answer.
type receipt struct {
	Order      string `json:"order"`
	TotalCents uint64 `json:"total_cents"`
	TaxCents   uint64 `json:"tax_cents"`
	Shippable  bool   `json:"shippable"`
}

func runInventory(args []string) error {
	flags, err := parseServiceFlags("inventory", args, false)
	if err != nil {
		return err
	}
	routes := testRoutes()
	routes.HandleFunc("GET /stock/{id}", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, countStock(r.PathValue("id")))
	})
	return serve(flags, routes)
}

func runOrders(args []string) error {
	flags, err := parseServiceFlags("orders", args, true)
	if err != nil {
		return err
	}
	inventory := newUpstream(flags.upstream)
	routes := testRoutes()
	routes.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		var stock stockLevel
		if err := inventory.get(r.Context(), "/stock/"+r.PathValue("id"), &stock); err != nil {
			upstreamError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, fillOrder(r.PathValue("id"), stock))
	})
	return serve(flags, routes)
}

func runGateway(args []string) error {
	flags, err := parseServiceFlags("gateway", args, true)
	if err != nil {
		return err
	}
	orders := newUpstream(flags.upstream)
	routes := testRoutes()
	routes.HandleFunc("GET /checkout/{id}", func(w http.ResponseWriter, r *http.Request) {
		var order order
		if err := orders.get(r.Context(), "/orders/"+r.PathValue("id"), &order); err != nil {
			upstreamError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, checkOut(order))
	})
	return serve(flags, routes)
}

// countStock derives a level from the item's name: the same item always has the same stock.
func countStock(item string) stockLevel {
	digest := sha256.Sum256([]byte(item))
	return stockLevel{
		Item:      item,
		InStock:   binary.BigEndian.Uint32(digest[:4]) % 1000,
		Warehouse: "w" + strconv.Itoa(int(digest[4]%7)),
		Digest:    hex.EncodeToString(digest[:]),
	}
}

func fillOrder(id string, stock stockLevel) order {
	digest := sha256.Sum256([]byte("order " + id))
	filled := order{ID: id, Stock: stock, Available: true}
	for line := range 4 {
		quantity := 1 + uint32(digest[line])%5
		cents := uint64(binary.BigEndian.Uint16(digest[8+2*line:])) + 1
		filled.Lines = append(filled.Lines, orderLine{Item: id + "-" + strconv.Itoa(line), Quantity: quantity, Cents: cents})
		filled.Available = filled.Available && quantity <= stock.InStock
	}
	return filled
}

func checkOut(order order) receipt {
	total := uint64(0)
	for _, line := range order.Lines {
		total += uint64(line.Quantity) * line.Cents
	}
	return receipt{Order: order.ID, TotalCents: total, TaxCents: total * 19 / 100, Shippable: order.Available}
}
