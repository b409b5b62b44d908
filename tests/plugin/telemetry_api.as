// The part of OpenPlanet's API that TrackmasterTelemetry uses, as classes of the script language.

class vec3 { float x = 0; float y = 0; float z = 0; }

class MemoryBuffer {
    array<uint> bytes;
    MemoryBuffer(uint size) {}
    void Write(const string &in text) { for (uint i = 0; i < text.Length; i++) bytes.insertLast(text.byteAt(i)); }
    void Write(uint8 value) { bytes.insertLast(value); }
    void Write(uint16 value) { bytes.insertLast(value & 255); bytes.insertLast(value >> 8); }
    void Write(float value) {
        uint bits = fpToIEEE(value);
        for (int i = 0; i < 4; i++) { bytes.insertLast(bits & 255); bits >>= 8; }
    }
    void Seek(uint at) {}
    string Hex() {
        string digits = "0123456789abcdef";
        string text = "";
        for (uint i = 0; i < bytes.length(); i++) {
            text += digits.SubStr(int(bytes[i] / 16), 1) + digits.SubStr(int(bytes[i] % 16), 1);
        }
        return text;
    }
}

namespace Net {
    class Socket {
        bool Listen(const string &in host, uint16 port) { return true; }
        Socket@ Accept(uint timeout = 0) { return null; }
        bool IsHungUp() { return true; }
        bool Write(MemoryBuffer@ buffer) { return true; }
        void Close() {}
    }
}

class Waypoints { uint Length = 2; }
class CSmScriptPlayer : Node {
    Waypoints RaceWaypointTimes;
    int CurrentLapNumber = 1; int CurrentRaceTime = 12340;
    float Speed = 50.5; float AdherenceCoef = 0.5; uint SkiddingWheelCount = 3; uint FlyingDuration = 7;
    float InputSteer = -0.25; float InputGasPedal = 1.0; bool InputIsBraking = true;
}
class CSceneVehicleVisState {
    vec3 Position; vec3 WorldVel; vec3 Dir; vec3 Up;
    uint CurGear = 4;
    float FLSlipCoef = 0.1; float FRSlipCoef = 0.2; float RLSlipCoef = 0.3; float RRSlipCoef = 0.4;
    int FLGroundContactMaterial = 16; int FRGroundContactMaterial = 2; int RLGroundContactMaterial = 6; int RRGroundContactMaterial = 7;
}
namespace VehicleState {
    CSceneVehicleVisState@ ViewingPlayerState() { return CSceneVehicleVisState(); }
    float GetRPM(CSceneVehicleVisState@ car) { return 9000.0; }
}
namespace SGamePlaygroundUIConfig { enum EUISequence { None, Finish } }

class Node {}
class CSmPlayer : Node { Node@ ScriptAPI; }
class CGameTerminal { Node@ GUIPlayer; SGamePlaygroundUIConfig::EUISequence UISequence_Current; }
class Playground {}
class CSmArenaClient : Playground { Terminals GameTerminals; }
class Terminals { uint Length = 0; CGameTerminal@ get_opIndex(uint at) const property { return CGameTerminal(); } }
class MapInfo { string MapUid = "MapUid"; }
class Map { MapInfo MapInfo; }
class App {}
class CTrackMania : App { Map@ RootMap; Playground@ CurrentPlayground; }
App@ GetApp() { return CTrackMania(); }
void print(const string &in text) {}
void yield() {}
void sleep(int ms) {}

string Probe() {
    CSceneVehicleVisState car;
    car.Position.x = 1; car.Position.y = 2; car.Position.z = 3;
    car.WorldVel.x = 4; car.WorldVel.y = 5; car.WorldVel.z = 6;
    car.Dir.x = 1; car.Up.y = 1;
    CSmScriptPlayer player;
    return Header("MapUid").Hex() + Record(player, car, true).Hex();
}
