//! The examples of XEP-0047, XEP-0261 and XEP-0166 that concern us, by the number they have in the text.
//!
//! They keep their ids, sids and addresses (XEP-0261 has two spellings of the domains; one is used here). Where an example
//! shows what this software does not do, such as voice calls, the test says what becomes of it.
mod xep_0047;
mod xep_0166;
mod xep_0261;
