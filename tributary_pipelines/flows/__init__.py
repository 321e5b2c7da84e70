"""One function per question: a store and a request in, a result out; nothing else joins reading to computing."""
