#pragma D option quietresize
#pragma D option bufsize=4m
#pragma D option dynvarsize=32m
#pragma D option switchrate=0
#pragma D option statusrate=1us
#pragma D option ustackframes=127
uint64_t member[int];

dtrace:::BEGIN
{
  setopt("procfspath", "/nonexistent");
  member[42] = 1;
  member[43] = 1;
  natives[ustack(127)] = (uint64_t)0;
  printf("B %d\n", walltimestamp);
}

rawtp:sched::sched_process_exec
/member[pid]/
{
  printf("X %d %d\n", walltimestamp, pid);
}

rawtp:sched::sched_process_exit
/member[pid] && pid == tid/
{
  printf("E %d %d\n", walltimestamp, pid);
}

rawtp:sched::sched_process_fork
/member[pid]/
{
  this->child = ((struct task_struct *)arg1)->tgid;
}

rawtp:sched::sched_process_fork
/member[pid] && this->child != pid/
{
  member[this->child] = 1;
  printf("F %d %d %d\n", walltimestamp, pid, this->child);
}

syscall::prctl:entry
/arg0 == 1073746486/
{
  member[(int)arg1] = 1;
}

syscall::prctl:entry
/arg0 == 1073746487 && arg1 == 0/
{
  exit(0);
}

profile:::profile-99
{
  this->on = member[pid];
}

profile:::profile-99
/this->on/
{
  this->n = (uint64_t)0;
  this->k = (uint64_t)0;
  this->h = (uint64_t)0;
  this->id = (timestamp << 16) ^ tid;
  this->pc = (uint64_t)uregs[16];
  this->tid = curthread->thread_pid->numbers[curthread->thread_pid->level].nr;
}

profile:::profile-99
/this->on/
{
  this->n = natives[ustack(127)];
}

profile:::profile-99
/this->on && this->n == 0/
{
  this->n = this->id;
  natives[ustack(127)] = this->n;
  printf("N %x %k\n", this->n, ustack(127));
}

profile:::profile-99
/this->on/
{
  printf("S %d %d %d %d %x %x %x %x\n", walltimestamp, pid, this->tid, tid, this->n, this->k, this->h, this->pc);
}

dtrace:::END
{
  printf("Z %d\n", walltimestamp);
}
