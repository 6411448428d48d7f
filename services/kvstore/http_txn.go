package kvstore

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// txnOp is one operation as clients send it. Only KV operations exist here.
type txnOp struct {
	KV *Op
}

// txnResult is one entry of a transaction's answer.
type txnResult struct {
	KV *Entry
}

type txnResponse struct {
	Results []txnResult
	Errors  []TxnError
}

// handleTxn carries out up to 64 operations as one: all of them, or none and
// 409 with the reasons. One that only reads does not go through the log.
func (s *Service) handleTxn(c *call) error {
	ops, writes, err := readTxn(c)
	if err != nil {
		return err
	}
	var out outcome
	if writes {
		got, err := s.node.propose(c.ctx(), &command{kind: commandTxn, ops: ops})
		if err != nil {
			return err
		}
		if got.err != nil {
			return got.err
		}
		out = *got
	} else {
		q, err := c.readQuery()
		if err != nil {
			return err
		}
		v, err := s.state(c, q)
		if err != nil {
			return err
		}
		out.results, out.failures = v.begin(v.applied, s.node.now()).transact(ops)
		c.contact(s.node.lead.isOpen())
	}
	return out.write(c)
}

func (o *outcome) write(c *call) error {
	resp := txnResponse{Errors: o.failures}
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
	var in []txnOp
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, false, badRequest("Failed to parse body: %v", err)
	}
	if len(in) > maxTxnOps {
		return nil, false, &httpError{http.StatusRequestEntityTooLarge,
			fmt.Sprintf("Transaction contains too many operations (%d > %d)", len(in), maxTxnOps)}
	}
	for _, o := range in {
		if o.KV == nil {
			return nil, false, badRequest("Failed to parse body: only KV operations are known here")
		}
		o.KV.Value = emptyToNil(o.KV.Value)
		ops = append(ops, *o.KV)
		writes = writes || o.KV.Verb.writes()
	}
	return ops, writes, nil
}
