;; A reactor that puts the end of an event into a global that is a vector, and
;; sets one that is a reference. It answers with what they were.
(module
  (memory (export "memory") 2)
  (global $v (mut v128) (v128.const i64x2 11 22))
  (global $f (mut funcref) (ref.null func))

  (func $alloc (export "alloc") (param i32) (result i32) (i32.const 65536))

  (func (export "handle") (param $p i32) (param $n i32) (result i64)
    (v128.store (i32.const 1024) (global.get $v))
    (i32.store (i32.const 1040) (ref.is_null (global.get $f)))
    (global.set $v (v128.load (i32.sub (i32.add (local.get $p) (local.get $n)) (i32.const 16))))
    (global.set $f (ref.func $alloc))
    (i64.const 0x40000000014)) ;; 20 bytes at 1024
  (elem declare func $alloc))
