class digest;  // expect: pragma-once
