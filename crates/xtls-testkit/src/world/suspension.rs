//! Streams that are away for a while (XEP-0198).

use xtls::Engine;

use super::{EntityId, World};

impl World {
    /// An entity's stream is away and is to be resumed: the server holds what is for it, the entity what it sends. The entity
    /// notices and tells its engine; others do not.
    pub fn suspend(&mut self, id: EntityId) {
        self.hold(id);
        self.with(id, Engine::handle_suspended);
        self.collect();
    }

    /// The stream of a suspended entity is resumed: its engine is told, and has its timers looked at before the first stanza
    /// comes, as an embedder in a hurry would.
    pub fn resume(&mut self, id: EntityId) {
        self.with(id, Engine::handle_resumed);
        self.with(id, Engine::handle_timeout);
        self.collect();
        self.release(id);
    }

    /// An entity's stream is away, and the entity does not notice.
    pub fn hold(&mut self, id: EntityId) {
        self.collect();
        let jid = self.jid(id).as_str().to_owned();
        self.relay.hold(&jid);
    }

    /// The stream of such an entity is back.
    pub fn release(&mut self, id: EntityId) {
        self.collect();
        let jid = self.jid(id).as_str().to_owned();
        self.relay.release(self.now, &jid);
    }
}
