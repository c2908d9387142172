#pragma D option quietresize
#pragma D option bufsize=4m
#pragma D option dynvarsize=32m
#pragma D option switchrate=0
#pragma D option statusrate=1us
#pragma D option ustackframes=16
#pragma D option stackframes=127
uint64_t changed;
uint64_t member[int];
this uint64_t kept;
this uint64_t looked;
this int whose;

dtrace:::BEGIN
{
  setopt("procfspath", "/nonexistent");
  member[42] = 1;
  natives[ustack(16)] = (uint64_t)0;
  kernels[stack(127)] = (uint64_t)0;
  changed = timestamp;
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

profile:::profile-4999
/this->looked != changed || this->whose != pid/
{
  this->looked = changed;
  this->whose = pid;
  this->on = member[pid];
}

profile:::profile-4999
/this->on/
{
  this->fresh = (uint64_t)0;
  this->n = (uint64_t)0;
  this->k = (uint64_t)0;
  this->h = (uint64_t)0;
  this->id = (timestamp << 16) ^ tid;
  this->pc = (uint64_t)uregs[16];
  this->tid = curthread->thread_pid->numbers[curthread->thread_pid->level].nr;
}

profile:::profile-4999
/this->on/
{
  this->n = natives[ustack(16)];
}

profile:::profile-4999
/this->on && this->n == 0/
{
  this->n = this->id;
  this->fresh = 1;
  natives[ustack(16)] = this->n;
  printf("N %x %k\n", this->n, ustack(16));
}

profile:::profile-4999
/this->on && arg0/
{
  this->k = kernels[stack(127)];
}

profile:::profile-4999
/this->on && arg0 && this->k == 0/
{
  this->k = this->id;
  this->fresh = 1;
  kernels[stack(127)] = this->k;
  printf("K %x %k\n", this->k, stack(127));
}

profile:::profile-4999
/this->on && this->fresh/
{
  printf("S %d %d %d %d %x %x %x %x\n", walltimestamp, pid, this->tid, tid, this->n, this->k, this->h, this->pc);
}

profile:::profile-4999
/this->on && !this->fresh/
{
  this->kept = this->kept + 1;
}

profile:::profile-4999
/this->on && !this->fresh && this->kept == 1/
{
  this->time_1 = (uint64_t)walltimestamp;
  this->pid_1 = (uint64_t)pid;
  this->tid_1 = (uint64_t)this->tid;
  this->htid_1 = (uint64_t)tid;
  this->n_1 = (uint64_t)this->n;
  this->k_1 = (uint64_t)this->k;
  this->h_1 = (uint64_t)this->h;
  this->pc_1 = (uint64_t)this->pc;
}

profile:::profile-4999
/this->on && !this->fresh && this->kept == 2/
{
  this->time_2 = (uint64_t)walltimestamp;
  this->pid_2 = (uint64_t)pid;
  this->tid_2 = (uint64_t)this->tid;
  this->htid_2 = (uint64_t)tid;
  this->n_2 = (uint64_t)this->n;
  this->k_2 = (uint64_t)this->k;
  this->h_2 = (uint64_t)this->h;
  this->pc_2 = (uint64_t)this->pc;
}

profile:::profile-4999
/this->on && !this->fresh && this->kept == 3/
{
  this->time_3 = (uint64_t)walltimestamp;
  this->pid_3 = (uint64_t)pid;
  this->tid_3 = (uint64_t)this->tid;
  this->htid_3 = (uint64_t)tid;
  this->n_3 = (uint64_t)this->n;
  this->k_3 = (uint64_t)this->k;
  this->h_3 = (uint64_t)this->h;
  this->pc_3 = (uint64_t)this->pc;
}

profile:::profile-4999
/this->on && !this->fresh && this->kept == 4/
{
  this->time_4 = (uint64_t)walltimestamp;
  this->pid_4 = (uint64_t)pid;
  this->tid_4 = (uint64_t)this->tid;
  this->htid_4 = (uint64_t)tid;
  this->n_4 = (uint64_t)this->n;
  this->k_4 = (uint64_t)this->k;
  this->h_4 = (uint64_t)this->h;
  this->pc_4 = (uint64_t)this->pc;
}

profile:::profile-4999
/this->on && !this->fresh && this->kept == 5/
{
  this->time_5 = (uint64_t)walltimestamp;
  this->pid_5 = (uint64_t)pid;
  this->tid_5 = (uint64_t)this->tid;
  this->htid_5 = (uint64_t)tid;
  this->n_5 = (uint64_t)this->n;
  this->k_5 = (uint64_t)this->k;
  this->h_5 = (uint64_t)this->h;
  this->pc_5 = (uint64_t)this->pc;
}

profile:::profile-4999
/this->on && !this->fresh && this->kept == 6/
{
  this->time_6 = (uint64_t)walltimestamp;
  this->pid_6 = (uint64_t)pid;
  this->tid_6 = (uint64_t)this->tid;
  this->htid_6 = (uint64_t)tid;
  this->n_6 = (uint64_t)this->n;
  this->k_6 = (uint64_t)this->k;
  this->h_6 = (uint64_t)this->h;
  this->pc_6 = (uint64_t)this->pc;
}

profile:::profile-4999
/this->on && !this->fresh && this->kept == 7/
{
  this->time_7 = (uint64_t)walltimestamp;
  this->pid_7 = (uint64_t)pid;
  this->tid_7 = (uint64_t)this->tid;
  this->htid_7 = (uint64_t)tid;
  this->n_7 = (uint64_t)this->n;
  this->k_7 = (uint64_t)this->k;
  this->h_7 = (uint64_t)this->h;
  this->pc_7 = (uint64_t)this->pc;
}

profile:::profile-4999
/this->on && !this->fresh && this->kept == 8/
{
  this->time_8 = (uint64_t)walltimestamp;
  this->pid_8 = (uint64_t)pid;
  this->tid_8 = (uint64_t)this->tid;
  this->htid_8 = (uint64_t)tid;
  this->n_8 = (uint64_t)this->n;
  this->k_8 = (uint64_t)this->k;
  this->h_8 = (uint64_t)this->h;
  this->pc_8 = (uint64_t)this->pc;
}

profile:::profile-4999
/this->on && !this->fresh && this->kept == 9/
{
  this->time_9 = (uint64_t)walltimestamp;
  this->pid_9 = (uint64_t)pid;
  this->tid_9 = (uint64_t)this->tid;
  this->htid_9 = (uint64_t)tid;
  this->n_9 = (uint64_t)this->n;
  this->k_9 = (uint64_t)this->k;
  this->h_9 = (uint64_t)this->h;
  this->pc_9 = (uint64_t)this->pc;
}

profile:::profile-4999
/this->on && !this->fresh && this->kept == 10/
{
  this->time_10 = (uint64_t)walltimestamp;
  this->pid_10 = (uint64_t)pid;
  this->tid_10 = (uint64_t)this->tid;
  this->htid_10 = (uint64_t)tid;
  this->n_10 = (uint64_t)this->n;
  this->k_10 = (uint64_t)this->k;
  this->h_10 = (uint64_t)this->h;
  this->pc_10 = (uint64_t)this->pc;
}

profile:::profile-4999
/this->kept == 10/
{
  printf("S %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\n", this->time_1, this->pid_1, this->tid_1, this->htid_1, this->n_1, this->k_1, this->h_1, this->pc_1, this->time_2, this->pid_2, this->tid_2, this->htid_2, this->n_2, this->k_2, this->h_2, this->pc_2, this->time_3, this->pid_3, this->tid_3, this->htid_3, this->n_3, this->k_3, this->h_3, this->pc_3, this->time_4, this->pid_4, this->tid_4, this->htid_4, this->n_4, this->k_4, this->h_4, this->pc_4, this->time_5, this->pid_5, this->tid_5, this->htid_5, this->n_5, this->k_5, this->h_5, this->pc_5, this->time_6, this->pid_6, this->tid_6, this->htid_6, this->n_6, this->k_6, this->h_6, this->pc_6, this->time_7, this->pid_7, this->tid_7, this->htid_7, this->n_7, this->k_7, this->h_7, this->pc_7, this->time_8, this->pid_8, this->tid_8, this->htid_8, this->n_8, this->k_8, this->h_8, this->pc_8, this->time_9, this->pid_9, this->tid_9, this->htid_9, this->n_9, this->k_9, this->h_9, this->pc_9, this->time_10, this->pid_10, this->tid_10, this->htid_10, this->n_10, this->k_10, this->h_10, this->pc_10);
  this->kept = 0;
}

profile:::profile-10
/this->kept == 1/
{
  printf("S %d %d %d %d %x %x %x %x\n", this->time_1, this->pid_1, this->tid_1, this->htid_1, this->n_1, this->k_1, this->h_1, this->pc_1);
  this->kept = 0;
}

profile:::profile-10
/this->kept == 2/
{
  printf("S %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\n", this->time_1, this->pid_1, this->tid_1, this->htid_1, this->n_1, this->k_1, this->h_1, this->pc_1, this->time_2, this->pid_2, this->tid_2, this->htid_2, this->n_2, this->k_2, this->h_2, this->pc_2);
  this->kept = 0;
}

profile:::profile-10
/this->kept == 3/
{
  printf("S %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\n", this->time_1, this->pid_1, this->tid_1, this->htid_1, this->n_1, this->k_1, this->h_1, this->pc_1, this->time_2, this->pid_2, this->tid_2, this->htid_2, this->n_2, this->k_2, this->h_2, this->pc_2, this->time_3, this->pid_3, this->tid_3, this->htid_3, this->n_3, this->k_3, this->h_3, this->pc_3);
  this->kept = 0;
}

profile:::profile-10
/this->kept == 4/
{
  printf("S %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\n", this->time_1, this->pid_1, this->tid_1, this->htid_1, this->n_1, this->k_1, this->h_1, this->pc_1, this->time_2, this->pid_2, this->tid_2, this->htid_2, this->n_2, this->k_2, this->h_2, this->pc_2, this->time_3, this->pid_3, this->tid_3, this->htid_3, this->n_3, this->k_3, this->h_3, this->pc_3, this->time_4, this->pid_4, this->tid_4, this->htid_4, this->n_4, this->k_4, this->h_4, this->pc_4);
  this->kept = 0;
}

profile:::profile-10
/this->kept == 5/
{
  printf("S %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\n", this->time_1, this->pid_1, this->tid_1, this->htid_1, this->n_1, this->k_1, this->h_1, this->pc_1, this->time_2, this->pid_2, this->tid_2, this->htid_2, this->n_2, this->k_2, this->h_2, this->pc_2, this->time_3, this->pid_3, this->tid_3, this->htid_3, this->n_3, this->k_3, this->h_3, this->pc_3, this->time_4, this->pid_4, this->tid_4, this->htid_4, this->n_4, this->k_4, this->h_4, this->pc_4, this->time_5, this->pid_5, this->tid_5, this->htid_5, this->n_5, this->k_5, this->h_5, this->pc_5);
  this->kept = 0;
}

profile:::profile-10
/this->kept == 6/
{
  printf("S %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\n", this->time_1, this->pid_1, this->tid_1, this->htid_1, this->n_1, this->k_1, this->h_1, this->pc_1, this->time_2, this->pid_2, this->tid_2, this->htid_2, this->n_2, this->k_2, this->h_2, this->pc_2, this->time_3, this->pid_3, this->tid_3, this->htid_3, this->n_3, this->k_3, this->h_3, this->pc_3, this->time_4, this->pid_4, this->tid_4, this->htid_4, this->n_4, this->k_4, this->h_4, this->pc_4, this->time_5, this->pid_5, this->tid_5, this->htid_5, this->n_5, this->k_5, this->h_5, this->pc_5, this->time_6, this->pid_6, this->tid_6, this->htid_6, this->n_6, this->k_6, this->h_6, this->pc_6);
  this->kept = 0;
}

profile:::profile-10
/this->kept == 7/
{
  printf("S %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\n", this->time_1, this->pid_1, this->tid_1, this->htid_1, this->n_1, this->k_1, this->h_1, this->pc_1, this->time_2, this->pid_2, this->tid_2, this->htid_2, this->n_2, this->k_2, this->h_2, this->pc_2, this->time_3, this->pid_3, this->tid_3, this->htid_3, this->n_3, this->k_3, this->h_3, this->pc_3, this->time_4, this->pid_4, this->tid_4, this->htid_4, this->n_4, this->k_4, this->h_4, this->pc_4, this->time_5, this->pid_5, this->tid_5, this->htid_5, this->n_5, this->k_5, this->h_5, this->pc_5, this->time_6, this->pid_6, this->tid_6, this->htid_6, this->n_6, this->k_6, this->h_6, this->pc_6, this->time_7, this->pid_7, this->tid_7, this->htid_7, this->n_7, this->k_7, this->h_7, this->pc_7);
  this->kept = 0;
}

profile:::profile-10
/this->kept == 8/
{
  printf("S %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\n", this->time_1, this->pid_1, this->tid_1, this->htid_1, this->n_1, this->k_1, this->h_1, this->pc_1, this->time_2, this->pid_2, this->tid_2, this->htid_2, this->n_2, this->k_2, this->h_2, this->pc_2, this->time_3, this->pid_3, this->tid_3, this->htid_3, this->n_3, this->k_3, this->h_3, this->pc_3, this->time_4, this->pid_4, this->tid_4, this->htid_4, this->n_4, this->k_4, this->h_4, this->pc_4, this->time_5, this->pid_5, this->tid_5, this->htid_5, this->n_5, this->k_5, this->h_5, this->pc_5, this->time_6, this->pid_6, this->tid_6, this->htid_6, this->n_6, this->k_6, this->h_6, this->pc_6, this->time_7, this->pid_7, this->tid_7, this->htid_7, this->n_7, this->k_7, this->h_7, this->pc_7, this->time_8, this->pid_8, this->tid_8, this->htid_8, this->n_8, this->k_8, this->h_8, this->pc_8);
  this->kept = 0;
}

profile:::profile-10
/this->kept == 9/
{
  printf("S %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\n", this->time_1, this->pid_1, this->tid_1, this->htid_1, this->n_1, this->k_1, this->h_1, this->pc_1, this->time_2, this->pid_2, this->tid_2, this->htid_2, this->n_2, this->k_2, this->h_2, this->pc_2, this->time_3, this->pid_3, this->tid_3, this->htid_3, this->n_3, this->k_3, this->h_3, this->pc_3, this->time_4, this->pid_4, this->tid_4, this->htid_4, this->n_4, this->k_4, this->h_4, this->pc_4, this->time_5, this->pid_5, this->tid_5, this->htid_5, this->n_5, this->k_5, this->h_5, this->pc_5, this->time_6, this->pid_6, this->tid_6, this->htid_6, this->n_6, this->k_6, this->h_6, this->pc_6, this->time_7, this->pid_7, this->tid_7, this->htid_7, this->n_7, this->k_7, this->h_7, this->pc_7, this->time_8, this->pid_8, this->tid_8, this->htid_8, this->n_8, this->k_8, this->h_8, this->pc_8, this->time_9, this->pid_9, this->tid_9, this->htid_9, this->n_9, this->k_9, this->h_9, this->pc_9);
  this->kept = 0;
}

dtrace:::END
{
  printf("Z %d\n", walltimestamp);
}
