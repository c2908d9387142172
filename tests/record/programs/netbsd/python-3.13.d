#pragma D option nolibs
#pragma D option switchrate=10hz
#pragma D option aggrate=10hz
#pragma D option bufsize=4m
#pragma D option aggsize=4m
#pragma D option dynvarsize=16m
#pragma D option ustackframes=127
#pragma D option strsize=192
uint64_t holder[int];
uint64_t owner[int];
uint64_t shape[int];
uint64_t codetype[int];
uint64_t codeshape[int];
uint64_t generation[int];
uint64_t seen[uint64_t];

dtrace:::BEGIN
{
  table = 0;
  holder[42] = (uint64_t)139637977776141;
  owner[42] = (uint64_t)152;
  shape[42] = (uint64_t)72;
  codetype[42] = (uint64_t)9306112;
  codeshape[42] = (uint64_t)8934207813760;
  generation[42] = (uint64_t)0;
  printf("B %d\n", walltimestamp);
}

profile:::profile-99
{
  this->on = (pid == 42) ? 1 : 0;
}

profile:::profile-99
/this->on/
{
  this->h = (uint64_t)0;
  this->fresh = (uint64_t)0;
}

profile:::profile-99
/this->on/
{
  this->holder = holder[pid];
  this->owner = owner[pid];
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
  this->f = (uint64_t)0;
  this->ts = (uint64_t)0;
  this->g = (uint64_t)0;
  this->cf = (uint64_t)0;
  this->entered = (uint64_t)0;
  this->new = (uint64_t)0;
  this->c0 = (uint64_t)0;
}

profile:::profile-99
/this->on/
{
  this->held = (uint64_t)0;
}

profile:::profile-99
/this->on && this->holder/
{
  this->h = 1;
  this->held = *(uint64_t *)copyin(this->holder, 8);
  this->h = 0;
}

profile:::profile-99
/this->on && this->held/
{
  this->number = (uint64_t)*(uint64_t *)copyin(this->held + this->owner, 8);
  this->ts = this->number == (uint64_t)tid ? this->held : (uint64_t)0;
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
  this->hash = 0x9E3779B97F4A7C15 ^ this->g ^ ((uint64_t)pid << 32);
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c0) * 0x9E3779B97F4A7C15 + this->i0;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c1) * 0x9E3779B97F4A7C15 + this->i1;
  this->hash = (this->hash ^ (this->hash >> 29) ^ this->c2) * 0x9E3779B97F4A7C15 + this->i2;
  this->h = this->hash > 1 ? this->hash : 2;
}

profile:::profile-99
/this->on && this->h > 1 && !seen[this->h]/
{
  this->new = 1;
  this->y0 = (uint64_t)0;
  this->y1 = (uint64_t)0;
  this->y2 = (uint64_t)0;
}

profile:::profile-99
/this->on && this->new && this->codetype/
{
  this->y0 = this->c0 ? *(uint64_t *)copyin((this->c0 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
  this->y1 = this->c1 ? *(uint64_t *)copyin((this->c1 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
  this->y2 = this->c2 ? *(uint64_t *)copyin((this->c2 & ~(uint64_t)3) + (this->codeshape >> 40 & 0xff), 8) : 0;
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
/this->on && this->new/
{
  seen[this->h] = 1;
  this->fresh = 1;
  printf("H %x %d %x %x %x:%x %x:%x %x:%x\n", this->h, pid, this->g, this->f, this->c0, this->i0, this->c1, this->i1, this->c2, this->i2);
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
