int main() { return 1; }  // expect: quoted
