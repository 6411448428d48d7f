package consul

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"

	"imagemill/pkg/discovery"
)

// A setting is the plain value of the key <settings>/<name>, so that anybody's
// tool can write it. Who wrote it stands beside it at <settings>/@writer/<name>;
// no setting can be called so. Both are written in one transaction: a value that
// was changed after its writer's key was changed by somebody else, who is not known.
const writerFolder = "@writer/"

// maxWriter bounds the writer's name in bytes.
const maxWriter = 128

// WatchSettings follows the folder of settings by long polls until ctx is done,
// at the pace of Config.Rate.
func (r *Registry) WatchSettings(ctx context.Context) <-chan discovery.Document {
	ch := make(chan discovery.Document, 1)
	w := r.newWatch(r.cfg.Settings + "/")
	skipped := map[string]bool{}
	w.take = func(pairs api.KVPairs) { discovery.Offer(ch, w.document(pairs, skipped)) }
	go func() {
		defer close(ch)
		w.run(ctx)
	}()
	return ch
}

// document reads the settings. A key that no setting can have is skipped, and
// logged once.
func (w *watch) document(pairs api.KVPairs, skipped map[string]bool) discovery.Document {
	doc, writers := discovery.Document{}, map[string]*api.KVPair{}
	for _, pair := range pairs {
		name := strings.TrimPrefix(pair.Key, w.folder)
		if of, ok := strings.CutPrefix(name, writerFolder); ok {
			writers[of] = pair
			continue
		}
		if name == "" || strings.HasSuffix(name, "/") {
			continue // a folder, as Consul's UI makes them
		}
		if err := discovery.CheckSettingName(name); err != nil {
			if !skipped[name] && len(skipped) < 1000 {
				skipped[name] = true
				w.log.Warn("malformed setting skipped", "key", pair.Key, "error", err)
			}
			continue
		}
		doc[name] = discovery.Entry{Value: string(pair.Value), Version: pair.ModifyIndex}
	}
	for name, pair := range writers {
		if e, ok := doc[name]; ok && pair.ModifyIndex >= e.Version {
			e.Writer = string(pair.Value)
			doc[name] = e
		}
	}
	return doc
}

// PutSetting writes the value and its writer as one.
func (r *Registry) PutSetting(ctx context.Context, name, value, writer string) error {
	if err := discovery.CheckSetting(name, value); err != nil {
		return fmt.Errorf("put setting: %w", err)
	}
	writer = strings.ToValidUTF8(writer[:min(len(writer), maxWriter)], "")
	key, by := r.settingKeys(name)
	return r.transact(ctx, "put setting "+name, api.KVSet,
		&api.KVTxnOp{Key: key, Value: []byte(value)}, &api.KVTxnOp{Key: by, Value: []byte(writer)})
}

// DeleteSetting removes the value and the word of who wrote it.
func (r *Registry) DeleteSetting(ctx context.Context, name, _ string) error {
	if err := discovery.CheckSettingName(name); err != nil {
		return fmt.Errorf("delete setting: %w", err)
	}
	key, by := r.settingKeys(name)
	return r.transact(ctx, "delete setting "+name, api.KVDelete, &api.KVTxnOp{Key: key}, &api.KVTxnOp{Key: by})
}

// settingKeys are where a setting and its writer are kept.
func (r *Registry) settingKeys(name string) (value, writer string) {
	return r.cfg.Settings + "/" + name, r.cfg.Settings + "/" + writerFolder + name
}

// transact carries out all operations, by the same verb, or none.
func (r *Registry) transact(ctx context.Context, what string, verb api.KVOp, ops ...*api.KVTxnOp) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CallTimeout)
	defer cancel()
	txn := make(api.TxnOps, len(ops))
	for i, op := range ops {
		op.Verb = verb
		txn[i] = &api.TxnOp{KV: op}
	}
	ok, answer, _, err := r.api.Txn().Txn(txn, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !ok {
		reason := "the registry refused it"
		if len(answer.Errors) > 0 {
			reason = answer.Errors[0].What
		}
		return fmt.Errorf("%s: %s", what, reason)
	}
	return nil
}
