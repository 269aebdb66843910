// Package schedule runs schedules as EventBridge Scheduler defines them:
// Service keeps their definitions, Engine finds when they are due and calls
// their targets. Package api/scheduler speaks the protocol.
//
//	service := schedule.New(schedule.Config{…})
//	engine, err := schedule.Start(ctx, schedule.EngineConfig{Service: service, …})
//	defer engine.Close()
//
// What it guarantees:
//
//   - A tick, one time of one schedule, is put into a queue of package queue
//     before anything of it runs, with a deduplication id made of the
//     schedule and the time: it is put once, whoever finds it due and however
//     often.
//   - That a tick has run is on disk before the tick leaves its queue, and a
//     start knows the ticks that are still in it. So no tick is forgotten or
//     put again, however long the server was down.
//   - The target of a tick is called once: its event or message, or its dead
//     letter, is one change with the end of the tick, whenever the process is
//     killed. All attempts of a tick have the same execution id, and as an
//     invocation the same request id. The event then runs as all events do.
//   - A tick is missed when nothing ran for a minute after its time. What
//     happens then, the schedule says: see [CatchUp].
//
// # How it works
//
// expression.go and cron.go compute times; they are pure. plan.go decides what
// is due, what was missed and when to look again, upon a schedule, how far it
// is, and now: pure, too. engine.go holds one heap of the schedules' next times
// and one goroutine with one timer. delivery.go takes ticks from their queues,
// one queue for each schedule so that none waits for another's retries, and
// calls the targets (target.go), again as the retry policy says (retry.go).
//
// # Locks
//
// Engine.mu; nothing blocks while it is held. Service.groups is held over
// changes of definitions, and Engine.mu may be taken below it.
package schedule
