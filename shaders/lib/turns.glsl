// turns.glsl - a loop whose counter is in shared memory, for lavapipe.
//
//     for (uint counted = turns_from_0();;) {
//         const uint k = next_turn(counted, step, count); // 0, step, 2 step ... SOME: a count not known when compiling
//         ...
//         if (is_last_turn(k, step, count)) // of those that are whole; the first is taken for one
//             break;
//     }
//
// What a loop carries from turn to turn lavapipe keeps in vectors. A counter that addresses are made from is then read
// back from a vector each turn, through the lanes' masks and the stack: some 60 cycles before the first address of
// the turn is known. A word that one lane stores and all load is a scalar, and known at once. It is stored before
// the turn's work: behind a store the compiler may move the sums, but not what they load. Subgroups of a workgroup
// may share the word, as they run one after the other. Such loops are not nested.
//
// A kernel says which constant is IN_STEP before it includes this, or has a plain counter.
#ifdef IN_STEP_ID
layout(constant_id = IN_STEP_ID) const uint IN_STEP = 0; // 1: a subgroup's lanes are vectors of one thread
#else
const uint IN_STEP = 0;
#endif
const uint SOME = ~0u;
shared uint turn;

uint turns_from_0()
{
    if (IN_STEP != 0u && lane == 0u)
        turn = 0u;
    return 0u;
}

uint next_turn(inout uint counted, uint step, uint count)
{
    uint k = counted;
    if (IN_STEP != 0u && 2u * step <= count) {
        k = turn;
        if (lane == 0u)
            turn = k + step;
    }
    counted += step;
    return k;
}

// The first half is known when compiling: a single turn is no loop.
bool is_last_turn(uint k, uint step, uint count)
{
    return 2u * step > count || k + 2u * step > count;
}
