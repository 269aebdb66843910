;; A reactor that puts the end of an event into globals of every kind of number,
;; and the event to where the globals say and behind the memory's old end. It
;; answers with what the globals were before.
(module
  (memory (export "memory") 3)
  (global $a (mut i32) (i32.const 70001))
  (global $b (mut i64) (i64.const -70002))
  (global $c (mut f32) (f32.const 1.5))
  (global $d (mut f64) (f64.const -2.25))
  (global $hidden (mut i64) (i64.const 0))
  (export "shown" (global $a))

  (func (export "alloc") (param i32) (result i32) (i32.const 65536))

  (func (export "handle") (param $p i32) (param $n i32) (result i64)
    (local $last i32)
    (i32.store (i32.const 1024) (global.get $a))
    (i64.store (i32.const 1028) (global.get $b))
    (f32.store (i32.const 1036) (global.get $c))
    (f64.store (i32.const 1040) (global.get $d))
    (i64.store (i32.const 1048) (global.get $hidden))
    (i32.store (i32.const 1056) (memory.size))
    (local.set $last (i32.sub (i32.add (local.get $p) (local.get $n)) (i32.const 8)))
    (global.set $a (i32.load (local.get $last)))
    (global.set $b (i64.load (local.get $last)))
    (global.set $c (f32.load (local.get $last)))
    (global.set $d (f64.load (local.get $last)))
    (global.set $hidden (i64.load (local.get $last)))
    (memory.copy
      (i32.rem_u (global.get $a) (i32.const 60000))
      (local.get $p) (local.get $n))
    (if (i32.gt_s (memory.grow (i32.and (global.get $a) (i32.const 3))) (i32.const -1))
      (then (memory.copy
        (i32.sub (i32.shl (memory.size) (i32.const 16)) (local.get $n))
        (local.get $p) (local.get $n))))
    (i64.const 0x40000000024))) ;; 36 bytes at 1024
