package kvstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/hashicorp/consul/api"
)

// txnResult is one entry of a transaction's answer.
type txnResult struct {
	KV *Entry
}

type txnResponse struct {
	Results []txnResult
	Errors  []TxnError
	*txnMeta
}

// txnMeta is what Consul adds to the answer of a transaction that only reads.
type txnMeta struct {
	Index                 uint64
	LastContact           int64
	KnownLeader           bool
	ConsistencyLevel      string
	NotModified           bool
	Backend               int
	ResultsFilteredByACLs bool
}

// handleTxn carries out up to 64 operations as one: all of them, or none and
// 409 with the reasons. One that only reads does not go through the log.
func (s *Service) handleTxn(c *call) error {
	ops, writes, err := readTxn(c)
	if err != nil {
		return err
	}
	var out *outcome
	var meta *txnMeta
	if writes {
		if err := c.known(); err != nil {
			return err
		}
		out, err = s.node.propose(c.ctx(), &command{kind: commandTxn, ops: ops})
		if err == nil {
			err = out.err
		}
	} else {
		out, meta, err = s.readOnly(c, ops)
	}
	if err != nil {
		return err
	}
	return out.write(c, meta)
}

// readOnly carries out operations that change nothing.
func (s *Service) readOnly(c *call, ops []Op) (*outcome, *txnMeta, error) {
	q, err := c.readQuery()
	if err != nil {
		return nil, nil, err
	}
	if err := c.known(); err != nil {
		return nil, nil, err
	}
	v, err := s.state(c, q)
	if err != nil {
		return nil, nil, err
	}
	out, meta := &outcome{failures: missingKeys(ops)}, &txnMeta{}
	// As in Consul, what is refused unread tells of no leader.
	if len(out.failures) == 0 {
		out.results, out.failures = v.begin(v.applied, s.node.now()).transact(ops)
		meta.Index, meta.KnownLeader = 1, s.node.lead.isOpen()
	}
	c.contact(meta.KnownLeader)
	return out, meta, nil
}

func (o *outcome) write(c *call, meta *txnMeta) error {
	resp := txnResponse{Errors: o.failures, txnMeta: meta}
	if len(o.failures) > 0 {
		return c.jsonStatus(http.StatusConflict, resp)
	}
	resp.Results = make([]txnResult, len(o.results))
	for i, e := range o.results {
		resp.Results[i].KV = e
	}
	return c.json(resp)
}

// readTxn reads the operations and whether any of them writes.
func readTxn(c *call) (ops []Op, writes bool, err error) {
	body, err := c.body(MaxValue, "txn_max_req_len")
	if err != nil {
		return nil, false, err
	}
	// The client's own types: what they cannot be read into is told as Consul tells it.
	var in api.TxnOps
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return nil, false, badRequest("Failed to parse body: %v", err)
	}
	if len(in) > maxTxnOps {
		return nil, false, &httpError{http.StatusRequestEntityTooLarge,
			fmt.Sprintf("Transaction contains too many operations (%d > %d)", len(in), maxTxnOps)}
	}
	for _, o := range in {
		switch {
		case o == nil || o.Node != nil || o.Service != nil || o.Check != nil:
			return nil, false, badRequest("Failed to parse body: only KV operations are known here")
		case o.KV == nil: // Consul skips an operation that is none
			continue
		}
		kv := o.KV
		ops = append(ops, Op{
			Verb: Verb(kv.Verb), Key: kv.Key, Value: emptyToNil(kv.Value), Flags: kv.Flags, Index: kv.Index, Session: kv.Session,
		})
		writes = writes || Verb(kv.Verb).writes()
	}
	return ops, writes, nil
}
