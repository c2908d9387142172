#pragma D option quietresize
#pragma D option bufsize=4m
#pragma D option dynvarsize=32m
#pragma D option switchrate=0
#pragma D option statusrate=1us
#pragma D option scratchsize=1920
#pragma D option strsize=192
#pragma D option ustackframes=127
#pragma D option stackframes=127
uint64_t changed;
uint64_t member[int];
uint64_t slot[int];
uint64_t current[int];
uint64_t shape[int];
uint64_t codetype[int];
uint64_t codeshape[int];
uint64_t generation[int];
uint64_t seen[uint64_t];
this uint64_t kept;
this uint64_t looked;
this int whose;

dtrace:::BEGIN
{
  setopt("procfspath", "/nonexistent");
  member[42] = 1;
  natives[ustack(127)] = (uint64_t)0;
  kernels[stack(127)] = (uint64_t)0;
  slot[42] = (uint64_t)792;
  current[42] = (uint64_t)0;
  shape[42] = (uint64_t)2148106296;
  codetype[42] = (uint64_t)0;
  codeshape[42] = (uint64_t)0;
  generation[42] = (uint64_t)0;
  changed = timestamp;
  printf("B %d\n", walltimestamp);
}

rawtp:sched::sched_process_exec
/member[pid]/
{
  slot[pid] = 0;
  shape[pid] = 0;
  generation[pid] = 0;
  changed = timestamp;
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
  slot[this->child] = slot[pid];
  current[this->child] = current[pid];
  shape[this->child] = shape[pid];
  codetype[this->child] = codetype[pid];
  codeshape[this->child] = codeshape[pid];
  generation[this->child] = generation[pid];
  changed = timestamp;
  printf("F %d %d %d\n", walltimestamp, pid, this->child);
}

rawtp:sched::sched_process_free
{
  this->gone = ((struct task_struct *)arg0)->pid;
}

rawtp:sched::sched_process_free
/member[this->gone]/
{
  member[this->gone] = 0;
  slot[this->gone] = 0;
  current[this->gone] = 0;
  shape[this->gone] = 0;
  codetype[this->gone] = 0;
  codeshape[this->gone] = 0;
  generation[this->gone] = 0;
  changed = timestamp;
}

syscall::prctl:entry
/arg0 == 1073746485/
{
  generation[(int)arg1] = arg2;
  codetype[(int)arg1] = arg3;
  codeshape[(int)arg1] = arg4;
  changed = timestamp;
}

syscall::prctl:entry
/arg0 == 1073746484/
{
  current[(int)arg1] = arg3;
  shape[(int)arg1] = arg4 & 0xffffffff;
  slot[(int)arg1] = arg2;
  changed = timestamp;
}

syscall::prctl:entry
/arg0 == 1073746486/
{
  member[(int)arg1] = 1;
  changed = timestamp;
}

syscall::prctl:entry
/arg0 == 1073746487 && arg1 == 0 && !arg2/
{
  exit(0);
}

profile:::profile-99
/this->looked != changed || this->whose != pid/
{
  this->looked = changed;
  this->whose = pid;
  this->on = member[pid];
  this->slot = slot[pid];
  this->current = current[pid];
  this->shape = shape[pid];
  this->codetype = codetype[pid];
  this->codeshape = codeshape[pid];
  this->generation = generation[pid];
  this->ic = this->shape >> 31 ? 4 : 0;
  this->ip = this->shape >> 31 ? 6 : 1;
}

profile:::profile-99
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

profile:::profile-99
/this->on/
{
  this->f = (uint64_t)0;
  this->ts = (uint64_t)0;
  this->g = (uint64_t)0;
  this->cf = (uint64_t)0;
  this->entered = (uint64_t)0;
  this->new = (uint64_t)0;
  this->c0 = (uint64_t)0;
  this->c25 = (uint64_t)0;
}

profile:::profile-99
/this->on && this->slot/
{
  this->h = 1;
  this->ts = *(uint64_t *)copyin(curthread->thread.fsbase + this->slot, 8);
  this->h = 0;
}

profile:::profile-99
/this->on && this->slot && this->current/
{
  this->f = *(uint64_t *)copyin(curthread->thread.fsbase + this->current, 8);
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
  this->entered = *(uint64_t *)copyin(this->p[this->ic] + (this->codeshape >> 40 & 0xff), 8) == this->codetype;
}

profile:::profile-99
/this->on && this->cf && this->f && !this->entered && this->codetype/
{
  this->cf = *(uint64_t *)copyin(this->cf + (this->shape >> 16 & 0x7fff) - 1 + 8, 8);
  this->f = *(uint64_t *)copyin(this->cf + (this->shape >> 16 & 0x7fff) - 1, 8);
  this->h = this->f ? 1 : 0;
}

profile:::profile-99
/this->on && this->f && this->generation/
{
  this->g = *(uint64_t *)copyin(this->generation, 8);
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
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c4 = this->p[this->ic]; this->i4 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c5 = this->p[this->ic]; this->i5 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c6 = this->p[this->ic]; this->i6 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c7 = this->p[this->ic]; this->i7 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c8 = this->p[this->ic]; this->i8 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c9 = this->p[this->ic]; this->i9 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c10 = this->p[this->ic]; this->i10 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c11 = this->p[this->ic]; this->i11 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c12 = this->p[this->ic]; this->i12 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c13 = this->p[this->ic]; this->i13 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c14 = this->p[this->ic]; this->i14 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c15 = this->p[this->ic]; this->i15 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c16 = this->p[this->ic]; this->i16 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c17 = this->p[this->ic]; this->i17 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c18 = this->p[this->ic]; this->i18 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c19 = this->p[this->ic]; this->i19 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c20 = this->p[this->ic]; this->i20 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c21 = this->p[this->ic]; this->i21 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c22 = this->p[this->ic]; this->i22 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c23 = this->p[this->ic]; this->i23 = this->p[7]; this->f = this->p[this->ip];
  this->p = this->f ? (uint64_t *)copyin(this->f, 64) : this->none;
  this->c24 = this->p[this->ic]; this->i24 = this->p[7]; this->f = this->p[this->ip];
  this->hash = 0x9E3779B97F4A7C15 ^ this->g ^ ((uint64_t)pid << 32);
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c0) * 0x9E3779B97F4A7C15 + this->i0;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c1) * 0x9E3779B97F4A7C15 + this->i1;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c2) * 0x9E3779B97F4A7C15 + this->i2;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c3) * 0x9E3779B97F4A7C15 + this->i3;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c4) * 0x9E3779B97F4A7C15 + this->i4;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c5) * 0x9E3779B97F4A7C15 + this->i5;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c6) * 0x9E3779B97F4A7C15 + this->i6;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c7) * 0x9E3779B97F4A7C15 + this->i7;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c8) * 0x9E3779B97F4A7C15 + this->i8;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c9) * 0x9E3779B97F4A7C15 + this->i9;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c10) * 0x9E3779B97F4A7C15 + this->i10;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c11) * 0x9E3779B97F4A7C15 + this->i11;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c12) * 0x9E3779B97F4A7C15 + this->i12;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c13) * 0x9E3779B97F4A7C15 + this->i13;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c14) * 0x9E3779B97F4A7C15 + this->i14;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c15) * 0x9E3779B97F4A7C15 + this->i15;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c16) * 0x9E3779B97F4A7C15 + this->i16;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c17) * 0x9E3779B97F4A7C15 + this->i17;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c18) * 0x9E3779B97F4A7C15 + this->i18;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c19) * 0x9E3779B97F4A7C15 + this->i19;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c20) * 0x9E3779B97F4A7C15 + this->i20;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c21) * 0x9E3779B97F4A7C15 + this->i21;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c22) * 0x9E3779B97F4A7C15 + this->i22;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c23) * 0x9E3779B97F4A7C15 + this->i23;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c24) * 0x9E3779B97F4A7C15 + this->i24;
  this->h = this->hash > 1 ? this->hash : 2;
}

profile:::profile-99
/this->on && this->f && this->h > 1/
{
  this->none = (uint64_t *)alloca(64);
  this->none[0] = 0;
  this->none[1] = 0;
  this->none[4] = 0;
  this->none[6] = 0;
  this->none[7] = 0;
  this->p = (uint64_t *)copyin(this->f, 64);
  this->c25 = this->p[this->ic]; this->i25 = this->p[7]; this->f = this->p[this->ip];
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c25) * 0x9E3779B97F4A7C15 + this->i25;
  this->h = this->hash > 1 ? this->hash : 2;
}

profile:::profile-99
/this->on && this->h > 1 && !seen[this->h]/
{
  this->new = 1;
  this->y0 = (uint64_t)0;
  this->y1 = (uint64_t)0;
  this->y2 = (uint64_t)0;
  this->y3 = (uint64_t)0;
  this->y4 = (uint64_t)0;
  this->y5 = (uint64_t)0;
  this->y6 = (uint64_t)0;
  this->y7 = (uint64_t)0;
}

profile:::profile-99
/this->on && this->new && this->codetype/
{
  this->y0 = this->c0 ? *(uint64_t *)copyin((this->c0 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
  this->y1 = this->c1 ? *(uint64_t *)copyin((this->c1 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
  this->y2 = this->c2 ? *(uint64_t *)copyin((this->c2 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
  this->y3 = this->c3 ? *(uint64_t *)copyin((this->c3 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
  this->y4 = this->c4 ? *(uint64_t *)copyin((this->c4 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
  this->y5 = this->c5 ? *(uint64_t *)copyin((this->c5 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
  this->y6 = this->c6 ? *(uint64_t *)copyin((this->c6 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
  this->y7 = this->c7 ? *(uint64_t *)copyin((this->c7 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
}

profile:::profile-99
/this->on && this->new && this->codetype && this->y0 == this->codetype/
{
  this->name = *(uint64_t *)copyin((this->c0 & ~(uint64_t)3) + (this->codeshape >> 0 & 0xff), 8);
  this->file = *(uint64_t *)copyin((this->c0 & ~(uint64_t)3) + (this->codeshape >> 8 & 0xff), 8);
  printf("L %x 0 %d %x %x %s\t%s\n", this->h, *(int *)copyin((this->c0 & ~(uint64_t)3) + (this->codeshape >> 16 & 0xff), 4), *(uint32_t *)copyin(this->name + (this->codeshape >> 32 & 0xff), 4), *(uint32_t *)copyin(this->file + (this->codeshape >> 32 & 0xff), 4), copyinstr(this->name + (this->codeshape >> 24 & 0xff)), copyinstr(this->file + (this->codeshape >> 24 & 0xff)));
}

profile:::profile-99
/this->on && this->new && this->codetype && this->y1 == this->codetype/
{
  this->name = *(uint64_t *)copyin((this->c1 & ~(uint64_t)3) + (this->codeshape >> 0 & 0xff), 8);
  this->file = *(uint64_t *)copyin((this->c1 & ~(uint64_t)3) + (this->codeshape >> 8 & 0xff), 8);
  printf("L %x 1 %d %x %x %s\t%s\n", this->h, *(int *)copyin((this->c1 & ~(uint64_t)3) + (this->codeshape >> 16 & 0xff), 4), *(uint32_t *)copyin(this->name + (this->codeshape >> 32 & 0xff), 4), *(uint32_t *)copyin(this->file + (this->codeshape >> 32 & 0xff), 4), copyinstr(this->name + (this->codeshape >> 24 & 0xff)), copyinstr(this->file + (this->codeshape >> 24 & 0xff)));
}

profile:::profile-99
/this->on && this->new && this->codetype && this->y2 == this->codetype/
{
  this->name = *(uint64_t *)copyin((this->c2 & ~(uint64_t)3) + (this->codeshape >> 0 & 0xff), 8);
  this->file = *(uint64_t *)copyin((this->c2 & ~(uint64_t)3) + (this->codeshape >> 8 & 0xff), 8);
  printf("L %x 2 %d %x %x %s\t%s\n", this->h, *(int *)copyin((this->c2 & ~(uint64_t)3) + (this->codeshape >> 16 & 0xff), 4), *(uint32_t *)copyin(this->name + (this->codeshape >> 32 & 0xff), 4), *(uint32_t *)copyin(this->file + (this->codeshape >> 32 & 0xff), 4), copyinstr(this->name + (this->codeshape >> 24 & 0xff)), copyinstr(this->file + (this->codeshape >> 24 & 0xff)));
}

profile:::profile-99
/this->on && this->new && this->codetype && this->y3 == this->codetype/
{
  this->name = *(uint64_t *)copyin((this->c3 & ~(uint64_t)3) + (this->codeshape >> 0 & 0xff), 8);
  this->file = *(uint64_t *)copyin((this->c3 & ~(uint64_t)3) + (this->codeshape >> 8 & 0xff), 8);
  printf("L %x 3 %d %x %x %s\t%s\n", this->h, *(int *)copyin((this->c3 & ~(uint64_t)3) + (this->codeshape >> 16 & 0xff), 4), *(uint32_t *)copyin(this->name + (this->codeshape >> 32 & 0xff), 4), *(uint32_t *)copyin(this->file + (this->codeshape >> 32 & 0xff), 4), copyinstr(this->name + (this->codeshape >> 24 & 0xff)), copyinstr(this->file + (this->codeshape >> 24 & 0xff)));
}

profile:::profile-99
/this->on && this->new && this->codetype && this->y4 == this->codetype/
{
  this->name = *(uint64_t *)copyin((this->c4 & ~(uint64_t)3) + (this->codeshape >> 0 & 0xff), 8);
  this->file = *(uint64_t *)copyin((this->c4 & ~(uint64_t)3) + (this->codeshape >> 8 & 0xff), 8);
  printf("L %x 4 %d %x %x %s\t%s\n", this->h, *(int *)copyin((this->c4 & ~(uint64_t)3) + (this->codeshape >> 16 & 0xff), 4), *(uint32_t *)copyin(this->name + (this->codeshape >> 32 & 0xff), 4), *(uint32_t *)copyin(this->file + (this->codeshape >> 32 & 0xff), 4), copyinstr(this->name + (this->codeshape >> 24 & 0xff)), copyinstr(this->file + (this->codeshape >> 24 & 0xff)));
}

profile:::profile-99
/this->on && this->new && this->codetype && this->y5 == this->codetype/
{
  this->name = *(uint64_t *)copyin((this->c5 & ~(uint64_t)3) + (this->codeshape >> 0 & 0xff), 8);
  this->file = *(uint64_t *)copyin((this->c5 & ~(uint64_t)3) + (this->codeshape >> 8 & 0xff), 8);
  printf("L %x 5 %d %x %x %s\t%s\n", this->h, *(int *)copyin((this->c5 & ~(uint64_t)3) + (this->codeshape >> 16 & 0xff), 4), *(uint32_t *)copyin(this->name + (this->codeshape >> 32 & 0xff), 4), *(uint32_t *)copyin(this->file + (this->codeshape >> 32 & 0xff), 4), copyinstr(this->name + (this->codeshape >> 24 & 0xff)), copyinstr(this->file + (this->codeshape >> 24 & 0xff)));
}

profile:::profile-99
/this->on && this->new && this->codetype && this->y6 == this->codetype/
{
  this->name = *(uint64_t *)copyin((this->c6 & ~(uint64_t)3) + (this->codeshape >> 0 & 0xff), 8);
  this->file = *(uint64_t *)copyin((this->c6 & ~(uint64_t)3) + (this->codeshape >> 8 & 0xff), 8);
  printf("L %x 6 %d %x %x %s\t%s\n", this->h, *(int *)copyin((this->c6 & ~(uint64_t)3) + (this->codeshape >> 16 & 0xff), 4), *(uint32_t *)copyin(this->name + (this->codeshape >> 32 & 0xff), 4), *(uint32_t *)copyin(this->file + (this->codeshape >> 32 & 0xff), 4), copyinstr(this->name + (this->codeshape >> 24 & 0xff)), copyinstr(this->file + (this->codeshape >> 24 & 0xff)));
}

profile:::profile-99
/this->on && this->new && this->codetype && this->y7 == this->codetype/
{
  this->name = *(uint64_t *)copyin((this->c7 & ~(uint64_t)3) + (this->codeshape >> 0 & 0xff), 8);
  this->file = *(uint64_t *)copyin((this->c7 & ~(uint64_t)3) + (this->codeshape >> 8 & 0xff), 8);
  printf("L %x 7 %d %x %x %s\t%s\n", this->h, *(int *)copyin((this->c7 & ~(uint64_t)3) + (this->codeshape >> 16 & 0xff), 4), *(uint32_t *)copyin(this->name + (this->codeshape >> 32 & 0xff), 4), *(uint32_t *)copyin(this->file + (this->codeshape >> 32 & 0xff), 4), copyinstr(this->name + (this->codeshape >> 24 & 0xff)), copyinstr(this->file + (this->codeshape >> 24 & 0xff)));
}

profile:::profile-99
/this->on && this->new/
{
  seen[this->h] = 1;
  this->fresh = 1;
  printf("H %x %d %x %x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x %x:%x\n", this->h, pid, this->g, this->f, this->c0, this->i0, this->c1, this->i1, this->c2, this->i2, this->c3, this->i3, this->c4, this->i4, this->c5, this->i5, this->c6, this->i6, this->c7, this->i7, this->c8, this->i8, this->c9, this->i9, this->c10, this->i10, this->c11, this->i11, this->c12, this->i12, this->c13, this->i13, this->c14, this->i14, this->c15, this->i15, this->c16, this->i16, this->c17, this->i17, this->c18, this->i18, this->c19, this->i19, this->c20, this->i20, this->c21, this->i21, this->c22, this->i22, this->c23, this->i23, this->c24, this->i24, this->c25, this->i25);
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
  this->fresh = 1;
  natives[ustack(127)] = this->n;
  printf("N %x %k\n", this->n, ustack(127));
}

profile:::profile-99
/this->on && arg0/
{
  this->k = kernels[stack(127)];
}

profile:::profile-99
/this->on && arg0 && this->k == 0/
{
  this->k = this->id;
  this->fresh = 1;
  kernels[stack(127)] = this->k;
  printf("K %x %k\n", this->k, stack(127));
}

profile:::profile-99
/this->on && this->fresh/
{
  printf("S %d %d %d %d %x %x %x %x\n", walltimestamp, pid, this->tid, tid, this->n, this->k, this->h, this->pc);
}

profile:::profile-99
/this->on && !this->fresh/
{
  this->kept = this->kept + 1;
}

profile:::profile-99
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

profile:::profile-99
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

profile:::profile-99
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

profile:::profile-99
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

profile:::profile-99
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

profile:::profile-99
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

profile:::profile-99
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

profile:::profile-99
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

profile:::profile-99
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

profile:::profile-99
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

profile:::profile-99
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

syscall::prctl:entry
/this->kept == 1 && arg0 == 1073746487 && arg1 == 0 && arg2/
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

syscall::prctl:entry
/this->kept == 2 && arg0 == 1073746487 && arg1 == 0 && arg2/
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

syscall::prctl:entry
/this->kept == 3 && arg0 == 1073746487 && arg1 == 0 && arg2/
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

syscall::prctl:entry
/this->kept == 4 && arg0 == 1073746487 && arg1 == 0 && arg2/
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

syscall::prctl:entry
/this->kept == 5 && arg0 == 1073746487 && arg1 == 0 && arg2/
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

syscall::prctl:entry
/this->kept == 6 && arg0 == 1073746487 && arg1 == 0 && arg2/
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

syscall::prctl:entry
/this->kept == 7 && arg0 == 1073746487 && arg1 == 0 && arg2/
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

syscall::prctl:entry
/this->kept == 8 && arg0 == 1073746487 && arg1 == 0 && arg2/
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

syscall::prctl:entry
/this->kept == 9 && arg0 == 1073746487 && arg1 == 0 && arg2/
{
  printf("S %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\nS %d %d %d %d %x %x %x %x\n", this->time_1, this->pid_1, this->tid_1, this->htid_1, this->n_1, this->k_1, this->h_1, this->pc_1, this->time_2, this->pid_2, this->tid_2, this->htid_2, this->n_2, this->k_2, this->h_2, this->pc_2, this->time_3, this->pid_3, this->tid_3, this->htid_3, this->n_3, this->k_3, this->h_3, this->pc_3, this->time_4, this->pid_4, this->tid_4, this->htid_4, this->n_4, this->k_4, this->h_4, this->pc_4, this->time_5, this->pid_5, this->tid_5, this->htid_5, this->n_5, this->k_5, this->h_5, this->pc_5, this->time_6, this->pid_6, this->tid_6, this->htid_6, this->n_6, this->k_6, this->h_6, this->pc_6, this->time_7, this->pid_7, this->tid_7, this->htid_7, this->n_7, this->k_7, this->h_7, this->pc_7, this->time_8, this->pid_8, this->tid_8, this->htid_8, this->n_8, this->k_8, this->h_8, this->pc_8, this->time_9, this->pid_9, this->tid_9, this->htid_9, this->n_9, this->k_9, this->h_9, this->pc_9);
  this->kept = 0;
}

dtrace:::END
{
  printf("Z %d\n", walltimestamp);
}
