package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// lifetime is longer than any testbed stands.
const lifetime = 30 * 24 * time.Hour

// clients are those who speak with the API server, by the name of their kubeconfig.
var clients = map[string]pkix.Name{
	"admin":              {CommonName: "testbed:admin", Organization: []string{"system:masters"}},
	"controller-manager": {CommonName: "system:kube-controller-manager"},
	"dns":                {CommonName: "testbed:dns"},
	"kubelet":            {CommonName: "system:node:testbed", Organization: []string{"system:nodes"}},
	"policies":           {CommonName: "testbed:policies"},
	"proxy":              {CommonName: "system:kube-proxy"},
	"scheduler":          {CommonName: "system:kube-scheduler"},
}

// authority signs what the cluster trusts.
type authority struct {
	folder      string
	certificate *x509.Certificate
	key         crypto.Signer
}

// identities FOLDER URL NAME… writes a certificate authority, the API server's certificate for these addresses and
// names, its client certificate for the kubelet, the key of service accounts, and a kubeconfig for each client.
func identities(arguments []string) error {
	if len(arguments) < 3 {
		return errors.New("usage: testbed identities FOLDER URL NAME…")
	}
	folder, url, names := arguments[0], arguments[1], arguments[2:]
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	signer, err := newAuthority(folder)
	if err != nil {
		return err
	}
	server := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			server.IPAddresses = append(server.IPAddresses, address)
		} else {
			server.DNSNames = append(server.DNSNames, name)
		}
	}
	if _, _, err := signer.issue("apiserver", server); err != nil {
		return err
	}
	caller := pkix.Name{CommonName: "testbed:apiserver", Organization: []string{"system:masters"}}
	if _, _, err := signer.issue("apiserver-kubelet", client(caller)); err != nil {
		return err
	}
	if err := serviceAccounts(folder); err != nil {
		return err
	}
	for name, subject := range clients {
		if err := signer.kubeconfig(name, subject, url); err != nil {
			return err
		}
	}
	return nil
}

func newAuthority(folder string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signer := &authority{folder: folder, key: key}
	signer.certificate = &x509.Certificate{
		Subject:               pkix.Name{CommonName: "testbed"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := signer.sign(signer.certificate, key.Public())
	if err != nil {
		return nil, err
	}
	if signer.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	if _, err := writePEM(filepath.Join(folder, "ca.crt"), "CERTIFICATE", der); err != nil {
		return nil, err
	}
	_, err = writeKey(filepath.Join(folder, "ca.key"), key)
	return signer, err
}

// client is the certificate of one who calls.
func client(subject pkix.Name) *x509.Certificate {
	return &x509.Certificate{Subject: subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

// issue writes NAME.crt and NAME.key and returns both as PEM.
func (a *authority) issue(name string, certificate *x509.Certificate) (crt, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	certificate.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := a.sign(certificate, private.Public())
	if err != nil {
		return nil, nil, err
	}
	if crt, err = writePEM(filepath.Join(a.folder, name+".crt"), "CERTIFICATE", der); err != nil {
		return nil, nil, err
	}
	key, err = writeKey(filepath.Join(a.folder, name+".key"), private)
	return crt, key, err
}

func (a *authority) sign(certificate *x509.Certificate, public crypto.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	certificate.SerialNumber = serial
	// Clocks of pods are the machine's own, so that an hour is ample.
	certificate.NotBefore = time.Now().Add(-time.Hour)
	certificate.NotAfter = certificate.NotBefore.Add(lifetime)
	return x509.CreateCertificate(rand.Reader, certificate, a.certificate, public, a.key)
}

// kubeconfig writes NAME.kubeconfig, with the certificates in it, so that it can be copied anywhere.
func (a *authority) kubeconfig(name string, subject pkix.Name, url string) error {
	crt, key, err := a.issue(name, client(subject))
	if err != nil {
		return err
	}
	trusted := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
	config := api.NewConfig()
	config.Clusters["testbed"] = &api.Cluster{Server: url, CertificateAuthorityData: trusted}
	config.AuthInfos[name] = &api.AuthInfo{ClientCertificateData: crt, ClientKeyData: key}
	config.Contexts["testbed"] = &api.Context{Cluster: "testbed", AuthInfo: name}
	config.CurrentContext = "testbed"
	return clientcmd.WriteToFile(*config, filepath.Join(a.folder, name+".kubeconfig"))
}

// serviceAccounts writes the key that signs tokens of service accounts, and its public half.
func serviceAccounts(folder string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if _, err := writeKey(filepath.Join(folder, "service-accounts.key"), key); err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	_, err = writePEM(filepath.Join(folder, "service-accounts.pub"), "PUBLIC KEY", der)
	return err
}

func writeKey(path string, key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) ([]byte, error) {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return text, os.WriteFile(path, text, 0o600)
}
