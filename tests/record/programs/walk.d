#pragma D option quietresize
#pragma D option bufsize=4m
#pragma D option dynvarsize=32m
#pragma D option switchrate=0
#pragma D option statusrate=1us
#pragma D option scratchsize=576
#pragma D option strsize=192
#pragma D option ustackframes=127
uint64_t member[int];
uint64_t slot[int];
uint64_t current[int];
uint64_t shape[int];
uint64_t codetype[int];
uint64_t codeshape[int];
uint64_t generation[int];
uint64_t seen[uint64_t];

dtrace:::BEGIN
{
  setopt("procfspath", "/nonexistent");
  member[42] = 1;
  member[43] = 1;
  natives[ustack(127)] = (uint64_t)0;
  slot[42] = (uint64_t)792;
  current[42] = (uint64_t)0;
  shape[42] = (uint64_t)2148106296;
  codetype[42] = (uint64_t)0;
  codeshape[42] = (uint64_t)0;
  generation[42] = (uint64_t)0;
  slot[43] = (uint64_t)-40;
  current[43] = (uint64_t)-32;
  shape[43] = (uint64_t)72;
  codetype[43] = (uint64_t)9306112;
  codeshape[43] = (uint64_t)8934207813760;
  generation[43] = (uint64_t)9371808;
  printf("B %d\n", walltimestamp);
}

rawtp:sched::sched_process_exec
/member[pid]/
{
  slot[pid] = 0;
  shape[pid] = 0;
  generation[pid] = 0;
  printf("X %d %d\n", walltimestamp, pid);
}

rawtp:sched::sched_process_exit
/member[pid] && pid == tid/
{
  printf("E %d %d\n", walltimestamp, pid);
}

syscall::prctl:entry
/arg0 == 1073746485/
{
  generation[(int)arg1] = arg2;
  codetype[(int)arg1] = arg3;
  codeshape[(int)arg1] = arg4;
}

syscall::prctl:entry
/arg0 == 1073746484/
{
  current[(int)arg1] = arg3;
  shape[(int)arg1] = arg4 & 0xffffffff;
  slot[(int)arg1] = arg2;
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
  this->f = (uint64_t)0;
  this->ts = (uint64_t)0;
  this->g = (uint64_t)0;
  this->cf = (uint64_t)0;
  this->entered = (uint64_t)0;
  this->at = slot[pid];
  this->shape = shape[pid];
  this->ic = this->shape >> 31 ? 4 : 0;
  this->ip = this->shape >> 31 ? 6 : 1;
  this->c0 = (uint64_t)0;
}

profile:::profile-99
/this->on && this->at/
{
  this->h = 1;
  this->ts = *(uint64_t *)copyin(curthread->thread.fsbase + this->at, 8);
  this->h = 0;
}

profile:::profile-99
/this->on && this->at && current[pid]/
{
  this->f = *(uint64_t *)copyin(curthread->thread.fsbase + current[pid], 8);
  this->ts = this->f ? this->f : this->ts;
  this->f = 0;
}

profile:::profile-99
/this->on && this->ts/
{
  this->h = 1;
  this->f = *(uint64_t *)copyin(this->ts + (this->shape & 0x7fff), 8);
  this->h = this->f ? 1 : 0;
}

profile:::profile-99
/this->on && this->f && (this->shape >> 16 & 0x7fff)/
{
  this->cf = this->f;
  this->f = *(uint64_t *)copyin(this->f + (this->shape >> 16 & 0x7fff) - 1, 8);
  this->h = this->f ? 1 : 0;
}

profile:::profile-99
/this->on && this->cf && this->f/
{
  this->p = (uint64_t *)copyin(this->f, 64);
  this->entered = *(uint64_t *)copyin(this->p[this->ic] + (codeshape[pid] >> 40 & 0xff), 8) == codetype[pid];
}

profile:::profile-99
/this->on && this->cf && this->f && !this->entered && codetype[pid]/
{
  this->cf = *(uint64_t *)copyin(this->cf + (this->shape >> 16 & 0x7fff) - 1 + 8, 8);
  this->f = *(uint64_t *)copyin(this->cf + (this->shape >> 16 & 0x7fff) - 1, 8);
  this->h = this->f ? 1 : 0;
}

profile:::profile-99
/this->on && this->f && generation[pid]/
{
  this->g = *(uint64_t *)copyin(generation[pid], 8);
}

profile:::profile-99
/this->on && this->f && this->h/
{
  this->none = (uint64_t *)alloca(64);
  this->none[0] = 0;
  this->none[1] = 0;
  this->none[4] = 0;
  this->none[6] = 0;
  this->none[7] = 0;
  this->p = (uint64_t *)copyin(this->f, 64);
  this->c0 = this->p[this->ic]; this->i0 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c1 = this->p[this->ic]; this->i1 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c2 = this->p[this->ic]; this->i2 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c3 = this->p[this->ic]; this->i3 = this->p[7]; this->f = this->p[this->ip];
  this->hash = 0x9E3779B97F4A7C15 ^ this->g ^ ((uint64_t)pid << 32);
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c0) * 0x9E3779B97F4A7C15 + this->i0;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c1) * 0x9E3779B97F4A7C15 + this->i1;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c2) * 0x9E3779B97F4A7C15 + this->i2;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c3) * 0x9E3779B97F4A7C15 + this->i3;
  this->h = this->hash > 1 ? this->hash : 2;
}

profile:::profile-99
/this->on/
{
  this->codetype = (uint64_t)0;
  this->codeshape = (uint64_t)0;
  this->y0 = (uint64_t)0;
  this->y1 = (uint64_t)0;
  this->y2 = (uint64_t)0;
  this->y3 = (uint64_t)0;
}

profile:::profile-99
/this->on && this->h > 1 && !seen[this->h]/
{
  this->codetype = codetype[pid];
  this->codeshape = codeshape[pid];
}

profile:::profile-99
/this->on && this->codetype/
{
  this->y0 = this->c0 ? *(uint64_t *)copyin((this->c0 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
  this->y1 = this->c1 ? *(uint64_t *)copyin((this->c1 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
  this->y2 = this->c2 ? *(uint64_t *)copyin((this->c2 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
  this->y3 = this->c3 ? *(uint64_t *)copyin((this->c3 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
}

profile:::profile-99
/this->on && this->codetype && this->y0 == this->codetype/
{
  this->name = *(uint64_t *)copyin((this->c0 & ~(uint64_t)3) + (this->codeshape >> 0 & 0xff), 8);
  this->file = *(uint64_t *)copyin((this->c0 & ~(uint64_t)3) + (this->codeshape >> 8 & 0xff), 8);
  printf("L %x 0 %d %x %x %s\t%s\n", this->h, *(int *)copyin((this->c0 & ~(uint64_t)3) + (this->codeshape >> 16 & 0xff), 4), *(uint32_t *)copyin(this->name + (this->codeshape >> 32 & 0xff), 4), *(uint32_t *)copyin(this->file + (this->codeshape >> 32 & 0xff), 4), copyinstr(this->name + (this->codeshape >> 24 & 0xff)), copyinstr(this->file + (this->codeshape >> 24 & 0xff)));
}

profile:::profile-99
/this->on && this->codetype && this->y1 == this->codetype/
{
  this->name = *(uint64_t *)copyin((this->c1 & ~(uint64_t)3) + (this->codeshape >> 0 & 0xff), 8);
  this->file = *(uint64_t *)copyin((this->c1 & ~(uint64_t)3) + (this->codeshape >> 8 & 0xff), 8);
  printf("L %x 1 %d %x %x %s\t%s\n", this->h, *(int *)copyin((this->c1 & ~(uint64_t)3) + (this->codeshape >> 16 & 0xff), 4), *(uint32_t *)copyin(this->name + (this->codeshape >> 32 & 0xff), 4), *(uint32_t *)copyin(this->file + (this->codeshape >> 32 & 0xff), 4), copyinstr(this->name + (this->codeshape >> 24 & 0xff)), copyinstr(this->file + (this->codeshape >> 24 & 0xff)));
}

profile:::profile-99
/this->on && this->codetype && this->y2 == this->codetype/
{
  this->name = *(uint64_t *)copyin((this->c2 & ~(uint64_t)3) + (this->codeshape >> 0 & 0xff), 8);
  this->file = *(uint64_t *)copyin((this->c2 & ~(uint64_t)3) + (this->codeshape >> 8 & 0xff), 8);
  printf("L %x 2 %d %x %x %s\t%s\n", this->h, *(int *)copyin((this->c2 & ~(uint64_t)3) + (this->codeshape >> 16 & 0xff), 4), *(uint32_t *)copyin(this->name + (this->codeshape >> 32 & 0xff), 4), *(uint32_t *)copyin(this->file + (this->codeshape >> 32 & 0xff), 4), copyinstr(this->name + (this->codeshape >> 24 & 0xff)), copyinstr(this->file + (this->codeshape >> 24 & 0xff)));
}

profile:::profile-99
/this->on && this->codetype && this->y3 == this->codetype/
{
  this->name = *(uint64_t *)copyin((this->c3 & ~(uint64_t)3) + (this->codeshape >> 0 & 0xff), 8);
  this->file = *(uint64_t *)copyin((this->c3 & ~(uint64_t)3) + (this->codeshape >> 8 & 0xff), 8);
  printf("L %x 3 %d %x %x %s\t%s\n", this->h, *(int *)copyin((this->c3 & ~(uint64_t)3) + (this->codeshape >> 16 & 0xff), 4), *(uint32_t *)copyin(this->name + (this->codeshape >> 32 & 0xff), 4), *(uint32_t *)copyin(this->file + (this->codeshape >> 32 & 0xff), 4), copyinstr(this->name + (this->codeshape >> 24 & 0xff)), copyinstr(this->file + (this->codeshape >> 24 & 0xff)));
}

profile:::profile-99
/this->on && this->h > 1 && !seen[this->h]/
{
  seen[this->h] = 1;
  printf("H %x %d %x %x %x:%x %x:%x %x:%x %x:%x\n", this->h, pid, this->g, this->f, this->c0, this->i0, this->c1, this->i1, this->c2, this->i2, this->c3, this->i3);
}

profile:::profile-99
/this->on && !(this->shape >> 15 & 1)/
{
  this->n = natives[ustack(127)];
}

profile:::profile-99
/this->on && this->n == 0 && !(this->shape >> 15 & 1)/
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
