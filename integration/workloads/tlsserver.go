package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"flag"
	"fmt"
	"math/big"
	"net/http"
	"time"
)

// runTLSServer serves the test routes over TLS, with HTTP/1.1 and HTTP/2 by ALPN, and a certificate that nobody trusts.
func runTLSServer(args []string) error {
	set := flag.NewFlagSet("tlsserver", flag.ContinueOnError)
	listen := set.String("listen", ":8443", "address to listen on; every family when the host is empty")
	old := set.Bool("tls12", false, "nothing newer than TLS 1.2")
	if err := set.Parse(args); err != nil {
		return err
	}
	certificate, err := selfSigned("tls.lab.test")
	if err != nil {
		return fmt.Errorf("no certificate: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	if *old {
		config.MaxVersion = tls.VersionTLS12
	}
	server := &http.Server{Addr: *listen, Handler: testRoutes(), TLSConfig: config}
	return server.ListenAndServeTLS("", "")
}

func selfSigned(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
