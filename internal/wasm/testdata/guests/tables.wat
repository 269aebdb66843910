;; A reactor that changes its table and drops its segments. It answers with what
;; was in the table before, and what of it can be called.
(module
  (memory (export "memory") 2)
  (type $number (func (result i32)))
  (table $t 4 64 funcref)
  (table $hosts 2 externref)
  (elem (i32.const 0) $one $two)
  (elem $later func $two $three)
  (data $text "segment")
  (global $refs (mut i32) (i32.const 0))

  (func $one (result i32) (i32.const 1))
  (func $two (result i32) (i32.const 2))
  (func $three (result i32) (i32.const 3))

  (func (export "alloc") (param i32) (result i32) (i32.const 65536))

  (func (export "handle") (param $p i32) (param $n i32) (result i64)
    (i32.store (i32.const 1024) (table.size $t))
    (i32.store (i32.const 1028) (call_indirect $t (type $number) (i32.const 0)))
    (i32.store (i32.const 1032) (ref.is_null (table.get $t (i32.const 3))))
    (i32.store (i32.const 1036) (global.get $refs))
    (memory.init $text (i32.const 1040) (i32.const 0) (i32.const 7)) ;; traps when it was dropped
    (table.init $t $later (i32.const 2) (i32.const 0) (i32.const 2))
    (table.set $t (i32.const 0) (ref.func $three))
    (table.copy $t $t (i32.const 1) (i32.const 2) (i32.const 1))
    (global.set $refs (table.grow $t (ref.func $one) (i32.const 5)))
    (table.fill $t (i32.const 4) (ref.func $two) (i32.const 3))
    (i32.store (i32.const 1048) (call_indirect $t (type $number) (i32.const 1)))
    (data.drop $text)
    (elem.drop $later)
    (memory.copy (i32.const 2048) (local.get $p) (local.get $n))
    (i64.const 0x4000000001c))) ;; 28 bytes at 1024
