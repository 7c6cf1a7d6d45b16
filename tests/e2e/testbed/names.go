package main

import (
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// serviceZone is where the names of services are, as Kubernetes' specification of DNS has it.
	serviceZone = ".svc.cluster.local."
	// timeToLive is in seconds, and what clusters commonly give.
	timeToLive = 5
)

// resolver answers for services of type ClusterIP, with and without an address of their own, and for pods that stand
// behind the latter. Every other name does not exist: the testbed reaches no network but its own.
type resolver struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
}

// names KUBECONFIG ADDRESS answers questions for names of services, over UDP and TCP.
func names(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: testbed names KUBECONFIG ADDRESS")
	}
	config, err := clientcmd.BuildConfigFromFlags("", arguments[0])
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	factory := informers.NewSharedInformerFactory(client, 0)
	services, endpoints := factory.Core().V1().Services(), factory.Discovery().V1().EndpointSlices()
	synced := []cache.InformerSynced{services.Informer().HasSynced, endpoints.Informer().HasSynced}
	factory.Start(stop)
	if !cache.WaitForCacheSync(stop, synced...) {
		return errors.New("the API server did not answer")
	}
	known := &resolver{services: services.Lister(), slices: endpoints.Lister()}
	ended := make(chan error)
	for _, network := range []string{"udp", "tcp"} {
		server := &dns.Server{Addr: arguments[1], Net: network, Handler: known}
		go func() { ended <- server.ListenAndServe() }()
	}
	return <-ended
}

// ServeDNS answers one question, as servers do: what else is asked in the same message is not looked at.
func (r *resolver) ServeDNS(writer dns.ResponseWriter, asked *dns.Msg) {
	answer := new(dns.Msg)
	answer.SetReply(asked)
	answer.Authoritative = true
	if len(asked.Question) > 0 {
		question := asked.Question[0]
		records, exists := r.find(question)
		answer.Answer = records
		if !exists {
			answer.Rcode = dns.RcodeNameError
		}
	}
	if writer.RemoteAddr().Network() == "udp" {
		size := dns.MinMsgSize
		if option := asked.IsEdns0(); option != nil {
			size = int(option.UDPSize())
		}
		answer.Truncate(size)
	}
	// Who asked and went away needs no answer.
	_ = writer.WriteMsg(answer)
}

// find returns the records of a name, none where it has none of the kind that is asked for, and whether it exists.
func (r *resolver) find(question dns.Question) (records []dns.RR, exists bool) {
	path, inside := strings.CutSuffix(strings.ToLower(question.Name), serviceZone)
	parts := strings.Split(path, ".")
	if !inside || len(parts) < 2 || len(parts) > 4 {
		return nil, false
	}
	name, namespace := parts[len(parts)-2], parts[len(parts)-1]
	service, err := r.services.Services(namespace).Get(name)
	if err != nil {
		return nil, false
	}
	switch rest := parts[:len(parts)-2]; len(rest) {
	case 0:
		return addresses(question, r.behind(service, "")), true
	case 1:
		found := r.behind(service, rest[0])
		return addresses(question, found), len(found) > 0
	default:
		records := ports(question, service, strings.TrimPrefix(rest[0], "_"), strings.TrimPrefix(rest[1], "_"))
		return records, len(records) > 0
	}
}

// behind returns the address of a service, or those of the pods behind one without; of the latter only those of a
// host name if one is given.
func (r *resolver) behind(service *corev1.Service, host string) []string {
	if service.Spec.ClusterIP != corev1.ClusterIPNone {
		if host != "" {
			return nil
		}
		return []string{service.Spec.ClusterIP}
	}
	selector := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name})
	parts, err := r.slices.EndpointSlices(service.Namespace).List(selector)
	if err != nil {
		return nil
	}
	var found []string
	for _, part := range parts {
		for _, endpoint := range part.Endpoints {
			ready := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
			named := endpoint.Hostname != nil && *endpoint.Hostname == host
			for _, address := range endpoint.Addresses {
				dashed := strings.ReplaceAll(address, ".", "-") == host
				if (ready || service.Spec.PublishNotReadyAddresses) && (host == "" || named || dashed) {
					found = append(found, address)
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func addresses(question dns.Question, found []string) []dns.RR {
	if question.Qtype != dns.TypeA && question.Qtype != dns.TypeANY {
		return nil
	}
	var records []dns.RR
	for _, address := range found {
		records = append(records, &dns.A{Hdr: header(question, dns.TypeA), A: net.ParseIP(address)})
	}
	return records
}

// ports answers for _PORT._PROTOCOL.SERVICE.
func ports(question dns.Question, service *corev1.Service, port, protocol string) []dns.RR {
	var records []dns.RR
	for _, offered := range service.Spec.Ports {
		if offered.Name == port && strings.EqualFold(string(offered.Protocol), protocol) {
			records = append(records, &dns.SRV{
				Hdr:    header(question, dns.TypeSRV),
				Weight: 100,
				Port:   uint16(offered.Port),
				Target: service.Name + "." + service.Namespace + serviceZone,
			})
		}
	}
	return records
}

func header(question dns.Question, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: question.Name, Rrtype: kind, Class: dns.ClassINET, Ttl: timeToLive}
}
