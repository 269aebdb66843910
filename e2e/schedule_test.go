package e2e

import "testing"

func TestBoto3Schedules(t *testing.T) {
	need(t, "/usr/lib/python3/dist-packages/boto3", "python3-boto3")
	s := up(t)
	runClient(t, s, ".", "/usr/bin/python3", "testdata/boto3_scheduler.py", s.url())
}
