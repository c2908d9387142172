#pragma D option switchrate=10hz
#pragma D option aggrate=10hz
#pragma D option bufsize=4m
#pragma D option aggsize=4m
#pragma D option dynvarsize=16m
#pragma D option ustackframes=127
dtrace:::BEGIN
{
  table = 0;
  printf("B %d\n", walltimestamp);
}

profile:::profile-99
{
  this->on = (pid == 42 || pid == 43 || progenyof(42)) ? 1 : 0;
}

profile:::profile-99
/this->on/
{
  this->h = (uint64_t)0,
  this->fresh = (uint64_t)0;
}

profile:::profile-99
/this->on/
{
  @taken = count();
}

profile:::profile-99
/this->on && table == 0/
{
  @samples0[pid, tid, this->h, ustack(127)] = count();
}

profile:::profile-99
/this->on && table == 1/
{
  @samples1[pid, tid, this->h, ustack(127)] = count();
}

profile:::profile-99
/this->on && table == 2/
{
  @samples2[pid, tid, this->h, ustack(127)] = count();
}

profile:::profile-99
/this->on && table == 3/
{
  @samples3[pid, tid, this->h, ustack(127)] = count();
}

profile:::tick-5hz
{
  this->full = table;
  table = (table + 1) % 4;
  printf("T %d\n", walltimestamp);
}

profile:::tick-5hz
/this->full == 0/
{
  printa("A %d %d %x\n=U%k=V %@d\n", @samples0);
  trunc(@samples0);
}

profile:::tick-5hz
/this->full == 1/
{
  printa("A %d %d %x\n=U%k=V %@d\n", @samples1);
  trunc(@samples1);
}

profile:::tick-5hz
/this->full == 2/
{
  printa("A %d %d %x\n=U%k=V %@d\n", @samples2);
  trunc(@samples2);
}

profile:::tick-5hz
/this->full == 3/
{
  printa("A %d %d %x\n=U%k=V %@d\n", @samples3);
  trunc(@samples3);
}

profile:::tick-5hz
/this->full < 4/
{
  printa("C %@d\n", @taken);
}

dtrace:::END
{
  printf("T %d\n", walltimestamp);
  printa("A %d %d %x\n=U%k=V %@d\n", @samples0);
  trunc(@samples0);
  printa("A %d %d %x\n=U%k=V %@d\n", @samples1);
  trunc(@samples1);
  printa("A %d %d %x\n=U%k=V %@d\n", @samples2);
  trunc(@samples2);
  printa("A %d %d %x\n=U%k=V %@d\n", @samples3);
  trunc(@samples3);
  printa("C %@d\n", @taken);
  trunc(@taken);
  printf("Z %d\n", walltimestamp);
}
