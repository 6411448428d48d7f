package process

import (
	"os"
	"path/filepath"

	"imagemill/services/worker/engine"
)

// accept checks what a child answered. A child that has been taken over by its
// picture must not make the worker hand out another file of the machine.
func accept(job engine.Job, answer reply) (engine.Report, error) {
	if answer.Failure != nil {
		return engine.Report{}, answer.Failure.err()
	}
	if len(answer.Report.Renditions) != len(job.Pipeline.Renditions) {
		return engine.Report{}, engine.Dead("the engine answered rubbish (renditions are missing)", "")
	}
	for i, r := range answer.Report.Renditions {
		stat, err := os.Lstat(r.File)
		if err != nil || !stat.Mode().IsRegular() || stat.Size() != r.Bytes ||
			r.Name != job.Pipeline.Renditions[i].Name || filepath.Dir(r.File) != filepath.Clean(job.Dir) {
			return engine.Report{}, engine.Dead("the engine answered rubbish (a result is not where it should be)", "")
		}
	}
	return answer.Report, nil
}
