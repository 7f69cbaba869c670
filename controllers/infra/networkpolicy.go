package infra

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
)

// networkPolicy bounds what comes in, always, and where connections lead, when asked. It is the outer fence: the gateway holds
// itself to the same rules, and to more (IS-DISC-10).
func networkPolicy(gw *v1alpha1.FederationGateway, f Facts) client.Object {
	p := &networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{
		PodSelector: *podSelector(gw),
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
		Ingress:     ingress(gw),
	}}
	if gw.Spec.NetworkPolicy != nil && gw.Spec.NetworkPolicy.Egress == v1alpha1.Enabled {
		p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		p.Spec.Egress = egress(gw, f.APIServer)
	}
	return p
}

// ingress: everybody may come to the public port. Calendar systems live in the cluster or in a private network, and say who
// they are; no stranger gets as far as being asked. Metrics and status are for pods of the cluster.
func ingress(gw *v1alpha1.FederationGateway) []networkingv1.NetworkPolicyIngressRule {
	submission := []networkingv1.NetworkPolicyPort{tcp(numberSubmit)}
	if wantsSMTP(gw) {
		submission = append(submission, tcp(numberSMTP))
	}
	return []networkingv1.NetworkPolicyIngressRule{
		{Ports: []networkingv1.NetworkPolicyPort{tcp(numberPublic)}},
		{Ports: submission, From: append(anyPod(), privateBlocks()...)},
		{Ports: []networkingv1.NetworkPolicyPort{tcp(numberAdmin), tcp(numberStatus)}, From: anyPod()},
	}
}

func egress(gw *v1alpha1.FederationGateway, apiServer []netip.AddrPort) []networkingv1.NetworkPolicyEgressRule {
	out := []networkingv1.NetworkPolicyEgressRule{
		// wherever the resolver is: a pod, the node, the cloud. Pods may have it behind another port than the Service shows
		{Ports: []networkingv1.NetworkPolicyPort{tcp(53), udp(53)}},
		{Ports: []networkingv1.NetworkPolicyPort{tcp(5353), udp(5353)}, To: anyPod()},
	}
	for _, server := range apiServer {
		out = append(out, networkingv1.NetworkPolicyEgressRule{
			Ports: []networkingv1.NetworkPolicyPort{tcp(int32(server.Port()))}, To: blocks(host(server.Addr())),
		})
	}
	out = append(out, networkingv1.NetworkPolicyEgressRule{Ports: webPorts(), To: publicBlocks()})
	if e := gw.Spec.Egress; e != nil {
		if resolver, err := netip.ParseAddrPort(e.Resolver); err == nil && resolver.Port() != 53 {
			port := int32(resolver.Port())
			out = append(out, networkingv1.NetworkPolicyEgressRule{
				Ports: []networkingv1.NetworkPolicyPort{tcp(port), udp(port)}, To: blocks(host(resolver.Addr())),
			})
		}
		if to := blocks(parse(e.BackendCIDRs)...); len(to) > 0 {
			out = append(out, networkingv1.NetworkPolicyEgressRule{Ports: append(webPorts(), tcp(25), tcp(465), tcp(587)), To: to})
		}
		if to := blocks(parse(e.PeerCIDRs)...); len(to) > 0 {
			out = append(out, networkingv1.NetworkPolicyEgressRule{Ports: webPorts(), To: to})
		}
	}
	if s := gw.Spec.Submission; s != nil && s.Smarthost != nil {
		to := publicBlocks() // a name: its addresses may change. Private ones are among backendCIDRs, or refused anyway
		if a, err := netip.ParseAddr(s.Smarthost.Host); err == nil {
			to = blocks(host(a))
		}
		if len(to) > 0 {
			out = append(out, networkingv1.NetworkPolicyEgressRule{Ports: []networkingv1.NetworkPolicyPort{tcp(s.Smarthost.Port)}, To: to})
		}
	}
	return out
}

// webPorts are those that servers of peers and back ends may have: what the gateway itself takes.
func webPorts() []networkingv1.NetworkPolicyPort {
	above := tcp(1024)
	above.EndPort = new(int32(65535))
	return []networkingv1.NetworkPolicyPort{tcp(443), above}
}

func tcp(port int32) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(port))}
}

func udp(port int32) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Protocol: new(corev1.ProtocolUDP), Port: new(intstr.FromInt32(port))}
}

// anyPod is every pod of the cluster.
func anyPod() []networkingv1.NetworkPolicyPeer {
	return []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}}}
}

func publicBlocks() []networkingv1.NetworkPolicyPeer {
	return []networkingv1.NetworkPolicyPeer{block(allIPv4, notPublic), block(globalIPv6, nil)}
}

func privateBlocks() []networkingv1.NetworkPolicyPeer {
	out := make([]networkingv1.NetworkPolicyPeer, len(privateNetworks))
	for i, p := range privateNetworks {
		out[i] = block(p, nil)
	}
	return out
}

// blocks are address ranges without the metadata services in them; a range that is one is left out.
func blocks(prefixes ...netip.Prefix) []networkingv1.NetworkPolicyPeer {
	var out []networkingv1.NetworkPolicyPeer
	for _, p := range prefixes {
		if !slices.Contains(metadata, p) {
			out = append(out, block(p, metadata))
		}
	}
	return out
}

// block is a range without those of the others that lie within it.
func block(p netip.Prefix, except []netip.Prefix) networkingv1.NetworkPolicyPeer {
	b := &networkingv1.IPBlock{CIDR: p.String()}
	for _, e := range except {
		if p.Contains(e.Addr()) && e.Bits() > p.Bits() {
			b.Except = append(b.Except, e.String())
		}
	}
	return networkingv1.NetworkPolicyPeer{IPBlock: b}
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()) }

// parse leaves out what is no range: compiling tells of it.
func parse(cidrs []v1alpha1.CIDR) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range cidrs {
		if p, err := netip.ParsePrefix(string(s)); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}
