package initproc

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// redirect installs, in the sandbox's network namespace, what nft(8) calls
//
//	table ip millicent {
//	  chain output {
//	    type nat hook output priority -100;
//	    meta l4proto tcp ip daddr != 127.0.0.0/8 ip daddr != 169.254.100.1 redirect to :port
//	  }
//	}
func redirect(port uint16) error {
	n, err := openNetlink(unix.NETLINK_NETFILTER)
	if err != nil {
		return failed("netfilter", err)
	}
	defer n.close()
	const (
		table = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWTABLE
		chain = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWCHAIN
		rule  = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWRULE
		flags = unix.NLM_F_CREATE | unix.NLM_F_ACK

		natPriority = -100 // NF_IP_PRI_NAT_DST
	)
	name, output := cstring("millicent"), cstring("output")
	p := n.message(nil, unix.NFNL_MSG_BATCH_BEGIN, 0, nfHeader(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES))
	p = n.message(p, table, flags, nfHeader(unix.NFPROTO_IPV4, 0), attr(unix.NFTA_TABLE_NAME, name))
	p = n.message(p, chain, flags, nfHeader(unix.NFPROTO_IPV4, 0),
		attr(unix.NFTA_CHAIN_TABLE, name),
		attr(unix.NFTA_CHAIN_NAME, output),
		nest(unix.NFTA_CHAIN_HOOK,
			attr(unix.NFTA_HOOK_HOOKNUM, be32(unix.NF_INET_LOCAL_OUT)),
			attr(unix.NFTA_HOOK_PRIORITY, be32(natPriority))),
		attr(unix.NFTA_CHAIN_TYPE, cstring("nat")))
	p = n.message(p, rule, flags|unix.NLM_F_APPEND, nfHeader(unix.NFPROTO_IPV4, 0),
		attr(unix.NFTA_RULE_TABLE, name),
		attr(unix.NFTA_RULE_CHAIN, output),
		nest(unix.NFTA_RULE_EXPRESSIONS, redirectRule(port)...))
	p = n.message(p, unix.NFNL_MSG_BATCH_END, 0, nfHeader(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES))
	return failed("redirect rule", n.do(p, 3))
}

// redirectRule returns the expressions of the rule. Each works on register 1
// and ends the rule when its comparison fails.
func redirectRule(port uint16) [][]byte {
	const reg = unix.NFT_REG_1
	destination := expr("payload",
		attr(unix.NFTA_PAYLOAD_DREG, be32(reg)),
		attr(unix.NFTA_PAYLOAD_BASE, be32(unix.NFT_PAYLOAD_NETWORK_HEADER)),
		attr(unix.NFTA_PAYLOAD_OFFSET, be32(16)), // of the destination in the IPv4 header
		attr(unix.NFTA_PAYLOAD_LEN, be32(4)))
	return [][]byte{
		expr("meta",
			attr(unix.NFTA_META_DREG, be32(reg)),
			attr(unix.NFTA_META_KEY, be32(unix.NFT_META_L4PROTO))),
		compare(unix.NFT_CMP_EQ, []byte{unix.IPPROTO_TCP}),
		destination,
		expr("bitwise",
			attr(unix.NFTA_BITWISE_SREG, be32(reg)),
			attr(unix.NFTA_BITWISE_DREG, be32(reg)),
			attr(unix.NFTA_BITWISE_LEN, be32(4)),
			nest(unix.NFTA_BITWISE_MASK, attr(unix.NFTA_DATA_VALUE, []byte{255, 0, 0, 0})),
			nest(unix.NFTA_BITWISE_XOR, attr(unix.NFTA_DATA_VALUE, make([]byte, 4)))),
		compare(unix.NFT_CMP_NEQ, []byte{127, 0, 0, 0}),
		destination,
		compare(unix.NFT_CMP_NEQ, platform[:]),
		expr("immediate",
			attr(unix.NFTA_IMMEDIATE_DREG, be32(reg)),
			nest(unix.NFTA_IMMEDIATE_DATA,
				attr(unix.NFTA_DATA_VALUE, binary.BigEndian.AppendUint16(nil, port)))),
		expr("redir", attr(unix.NFTA_REDIR_REG_PROTO_MIN, be32(reg))),
	}
}

// compare compares register 1 with data.
func compare(op int, data []byte) []byte {
	return expr("cmp",
		attr(unix.NFTA_CMP_SREG, be32(unix.NFT_REG_1)),
		attr(unix.NFTA_CMP_OP, be32(op)),
		nest(unix.NFTA_CMP_DATA, attr(unix.NFTA_DATA_VALUE, data)))
}

// expr returns one expression as an element of a rule's list.
func expr(name string, attrs ...[]byte) []byte {
	return nest(unix.NFTA_LIST_ELEM,
		attr(unix.NFTA_EXPR_NAME, cstring(name)),
		nest(unix.NFTA_EXPR_DATA, attrs...))
}

// nfHeader is struct nfgenmsg.
func nfHeader(family byte, resource uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
}
